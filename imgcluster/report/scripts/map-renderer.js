// Draws the map with WebGL2: all points in one call, then the pictures with one call per thumbnail sheet.

const MARKERS = ["circle", "square", "diamond"];
const FLOATS_PER_PICTURE = 12;
const FRAME_WIDTH = 2;

const POINT_VERTEX_SHADER = `#version 300 es
in vec2 position;
in vec4 color;
in float marker;
uniform vec2 center, scale;
uniform float size;
flat out vec4 pointColor;
flat out float pointMarker, pointSize;
void main() {
  gl_Position = vec4((position - center) * scale, 0.0, 1.0);
  pointSize = color.a < 0.5 ? size * 0.7 : size;
  gl_PointSize = pointSize;
  pointColor = color;
  pointMarker = marker;
}`;

// Points of several pixels have an outline, which separates them where they overlap and from any background.
const POINT_FRAGMENT_SHADER = `#version 300 es
precision mediump float;
flat in vec4 pointColor;
flat in float pointMarker, pointSize;
uniform vec3 outline;
uniform float ratio;
out vec4 result;
void main() {
  vec2 d = abs(gl_PointCoord - 0.5);
  float edge = pointMarker < 0.5 ? 0.5 - length(d) : pointMarker < 1.5 ? 0.44 - max(d.x, d.y) : 0.5 - d.x - d.y;
  float inside = edge * pointSize;
  float line = pointSize < 6.0 * ratio ? 0.0 : 0.45 * (1.0 - clamp(inside - 0.7 * ratio, 0.0, 1.0));
  float alpha = pointColor.a * clamp(inside, 0.0, 1.0);
  result = vec4(mix(pointColor.rgb, outline, line) * alpha, alpha);
}`;

const LINE_VERTEX_SHADER = `#version 300 es
in vec2 position;
uniform vec2 center, scale;
void main() {
  gl_Position = vec4((position - center) * scale, 0.0, 1.0);
}`;

const LINE_FRAGMENT_SHADER = `#version 300 es
precision mediump float;
uniform vec3 color;
out vec4 result;
void main() {
  result = vec4(color * 0.4, 0.4);
}`;

const PICTURE_VERTEX_SHADER = `#version 300 es
in vec4 place; // center x and y, half the side with its frame, depth
in vec4 corners; // of the tile in the sheet: left, top, right, bottom
in vec4 color;
uniform vec2 screen;
uniform float frame;
flat out vec4 frameColor;
flat out float inner;
out vec2 local, uv;
void main() {
  vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1) * 2.0 - 1.0;
  inner = place.z - frame;
  local = corner * place.z;
  uv = mix(corners.xy, corners.zw, local / inner * 0.5 + 0.5);
  frameColor = color;
  gl_Position = vec4((place.xy + local) / screen * vec2(2.0, -2.0) + vec2(-1.0, 1.0), place.w, 1.0);
}`;

const PICTURE_FRAGMENT_SHADER = `#version 300 es
precision mediump float;
flat in vec4 frameColor;
flat in float inner;
in vec2 local, uv;
uniform sampler2D sheet;
uniform bool reduced;
out vec4 result;
vec3 meanOfFour(vec2 dx, vec2 dy) {
  return 0.25 * (texture(sheet, uv - dx - dy) + texture(sheet, uv + dx - dy)
    + texture(sheet, uv - dx + dy) + texture(sheet, uv + dx + dy)).rgb;
}
// Four samples per pixel keep reduced pictures smooth; mipmaps would cost more when a sheet is loaded.
void main() {
  vec3 pixel = reduced ? meanOfFour(dFdx(uv) * 0.25, dFdy(uv) * 0.25) : texture(sheet, uv).rgb;
  result = max(abs(local.x), abs(local.y)) > inner ? frameColor : vec4(pixel, 1.0);
}`;

class MapRenderer {
  // `points`: int16 pairs, `colors`: uint8 RGBA, `markers`: uint8, in drawing order; `contours`: int16 pairs, the ends
  // of each line in turn. Throws without WebGL2.
  constructor(canvas, { points, colors, markers, contours }, requestDraw) {
    this.canvas = canvas;
    this.buffersOf = { points, colors, markers, contours };
    this.requestDraw = requestDraw;
    this.gl = canvas.getContext("webgl2", { antialias: false, alpha: true, depth: true });
    if (!this.gl) throw new Error("WebGL2 is not available");
    this.setUp();
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => {
      this.setUp();
      requestDraw();
    });
  }

  // Everything that lives in the context, made anew after the context was lost.
  setUp() {
    const { gl } = this;
    this.sheets = new Map();
    this.pointProgram = linkProgram(gl, POINT_VERTEX_SHADER, POINT_FRAGMENT_SHADER);
    this.pictureProgram = linkProgram(gl, PICTURE_VERTEX_SHADER, PICTURE_FRAGMENT_SHADER);
    this.lineProgram = linkProgram(gl, LINE_VERTEX_SHADER, LINE_FRAGMENT_SHADER);
    const { points, colors, markers, contours } = this.buffersOf;
    this.lineArrays = gl.createVertexArray();
    gl.bindVertexArray(this.lineArrays);
    this.attribute(this.lineProgram, "position", contours, 2, gl.SHORT, true);
    this.pointArrays = gl.createVertexArray();
    gl.bindVertexArray(this.pointArrays);
    this.attribute(this.pointProgram, "position", points, 2, gl.SHORT, true);
    this.colorBuffer = this.attribute(this.pointProgram, "color", colors, 4, gl.UNSIGNED_BYTE, true);
    this.attribute(this.pointProgram, "marker", markers, 1, gl.UNSIGNED_BYTE, false);
    this.pictureArrays = gl.createVertexArray();
    this.pictureBuffer = gl.createBuffer();
    gl.clearColor(0, 0, 0, 0);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  attribute(program, name, values, size, type, normalized) {
    const { gl } = this;
    const buffer = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, values, gl.DYNAMIC_DRAW);
    gl.enableVertexAttribArray(program.attributes[name]);
    gl.vertexAttribPointer(program.attributes[name], size, type, normalized, 0, 0);
    return buffer;
  }

  updateColors() {
    const { gl } = this;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.colorBuffer);
    gl.bufferSubData(gl.ARRAY_BUFFER, 0, this.buffersOf.colors);
  }

  draw({ x, y, scale, width, height, pictures }, pointSize, outline) {
    const { gl, canvas } = this;
    if (gl.isContextLost()) return;
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== wide || canvas.height !== high) Object.assign(canvas, { width: wide, height: high });
    gl.viewport(0, 0, wide, high);
    gl.depthMask(true);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.disable(gl.DEPTH_TEST);
    const show = (program) => {
      gl.useProgram(program.program);
      gl.uniform2f(program.uniforms.center, x, y);
      gl.uniform2f(program.uniforms.scale, (2 * scale) / width, (2 * scale) / height);
      return program.uniforms;
    };
    const uniforms = show(this.pointProgram);
    gl.uniform1f(uniforms.size, pointSize * ratio);
    gl.uniform1f(uniforms.ratio, ratio);
    gl.uniform3fv(uniforms.outline, outline);
    gl.bindVertexArray(this.pointArrays);
    gl.drawArrays(gl.POINTS, 0, this.buffersOf.markers.length);
    gl.uniform3fv(show(this.lineProgram).color, outline);
    gl.bindVertexArray(this.lineArrays);
    gl.drawArrays(gl.LINES, 0, this.buffersOf.contours.length / 2);
    this.drawPictures(pictures, width, height, ratio);
  }

  // The depth test keeps the first picture on top although pictures are drawn sheet by sheet.
  drawPictures(pictures, width, height, ratio) {
    const { gl } = this;
    const bySheet = new Map();
    pictures.forEach((picture, at) => {
      const texture = this.sheetTexture(picture.tile.tier, picture.tile.sheet);
      if (!texture) return;
      if (!bySheet.has(texture)) bySheet.set(texture, []);
      bySheet.get(texture).push([picture, at / pictures.length]);
    });
    if (!bySheet.size) return;
    const { uniforms } = this.pictureProgram;
    gl.enable(gl.DEPTH_TEST);
    gl.useProgram(this.pictureProgram.program);
    gl.uniform2f(uniforms.screen, width, height);
    gl.uniform1f(uniforms.frame, FRAME_WIDTH);
    gl.bindVertexArray(this.pictureArrays);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.pictureBuffer);
    const stride = 4 * FLOATS_PER_PICTURE;
    ["place", "corners", "color"].forEach((name, at) => {
      const location = this.pictureProgram.attributes[name];
      gl.enableVertexAttribArray(location);
      gl.vertexAttribPointer(location, 4, gl.FLOAT, false, stride, 16 * at);
      gl.vertexAttribDivisor(location, 1);
    });
    for (const [texture, placed] of bySheet) {
      const values = new Float32Array(placed.flatMap(([picture, depth]) => pictureValues(picture, depth)));
      gl.bufferData(gl.ARRAY_BUFFER, values, gl.STREAM_DRAW);
      gl.bindTexture(gl.TEXTURE_2D, texture);
      gl.uniform1i(uniforms.reduced, placed[0][0].tile.tier.side > 1.5 * placed[0][0].size * ratio);
      gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, placed.length);
    }
  }

  // The texture of a sheet; null while it is decoded, after which the map is drawn again.
  sheetTexture(tier, number) {
    const key = `${tier.side} ${number}`;
    if (!this.sheets.has(key)) {
      this.sheets.set(key, null);
      const { sheets } = this;
      createImageBitmap(sheetBlob(tier, number)).then(
        (bitmap) => {
          // After a loss of the context the sheet is decoded anew.
          if (sheets === this.sheets) sheets.set(key, uploadTexture(this.gl, bitmap, tier.side <= 40));
          bitmap.close();
          this.requestDraw();
        },
        () => {}, // a damaged sheet: its images stay points
      );
    }
    return this.sheets.get(key);
  }
}

function pictureValues({ x, y, size, tile, color }, depth) {
  const { tier, column, row, columns, rows } = tile;
  const inset = 0.5 / tier.side; // keeps the neighboring tiles out of the interpolation
  return [
    ...[Math.round(x), Math.round(y), size / 2 + FRAME_WIDTH, depth],
    ...[(column + inset) / columns, (row + inset) / rows, (column + 1 - inset) / columns, (row + 1 - inset) / rows],
    ...[color[0] / 255, color[1] / 255, color[2] / 255, 1],
  ];
}

function uploadTexture(gl, bitmap, pixelated) {
  const texture = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, texture);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, pixelated ? gl.NEAREST : gl.LINEAR);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
  return texture;
}

// A program with the locations of its attributes and uniforms by name.
function linkProgram(gl, vertexSource, fragmentSource) {
  const program = gl.createProgram();
  for (const [type, source] of [
    [gl.VERTEX_SHADER, vertexSource],
    [gl.FRAGMENT_SHADER, fragmentSource],
  ]) {
    const shader = gl.createShader(type);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost())
    throw new Error(`WebGL2: ${gl.getProgramInfoLog(program)}`);
  const found = { program, attributes: {}, uniforms: {} };
  for (let i = 0; i < gl.getProgramParameter(program, gl.ACTIVE_ATTRIBUTES); i++) {
    const { name } = gl.getActiveAttrib(program, i);
    found.attributes[name] = gl.getAttribLocation(program, name);
  }
  for (let i = 0; i < gl.getProgramParameter(program, gl.ACTIVE_UNIFORMS); i++) {
    const { name } = gl.getActiveUniform(program, i);
    found.uniforms[name] = gl.getUniformLocation(program, name);
  }
  return found;
}
