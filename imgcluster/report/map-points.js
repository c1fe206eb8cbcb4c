// The map's points and their colours.

// One draw call for all points: PixiJS's own particles would be four vertices each, and rewritten at every zoom.
function makePoints() {
  const order = drawingOrder();
  const places = new Float32Array(images.count * 2);
  map.colours = new Uint8Array(images.count * 4);
  const shapes = new Float32Array(images.count);
  const kinds = ["circle", "square", "diamond"];
  order.forEach((index, at) => {
    places[2 * at] = images.points[2 * index];
    places[2 * at + 1] = images.points[2 * index + 1];
    shapes[at] = kinds.indexOf(clusters.get(images.cluster[index]).marker);
  });
  map.order = order;
  map.geometry = new PIXI.Geometry({
    topology: "point-list",
    attributes: {
      aPlace: { buffer: places, format: "float32x2" },
      aColour: { buffer: map.colours, format: "unorm8x4" },
      aShape: { buffer: shapes, format: "float32" },
    },
  });
  recolour();
  map.view = new PIXI.UniformGroup({
    uMiddle: { value: new Float32Array(2), type: "vec2<f32>" },
    uScale: { value: new Float32Array(2), type: "vec2<f32>" },
    uSize: { value: 4, type: "f32" },
  });
  const shader = PIXI.Shader.from({
    gl: {
      vertex: `
        in vec2 aPlace; in vec4 aColour; in float aShape;
        out vec4 vColour; out float vShape; out float vSize;
        uniform vec2 uMiddle; uniform vec2 uScale; uniform float uSize;
        void main() {
          gl_Position = vec4((aPlace - uMiddle) * uScale, 0.0, 1.0);
          gl_PointSize = aColour.a < 0.5 ? uSize * 0.7 : uSize;
          vColour = vec4(aColour.rgb * aColour.a, aColour.a);
          vShape = aShape;
          vSize = gl_PointSize;
        }`,
      fragment: `
        in vec4 vColour; in float vShape; in float vSize;
        void main() {
          vec2 d = abs(gl_PointCoord - 0.5);
          float edge = vShape < 0.5 ? length(d) - 0.5 : vShape < 1.5 ? max(d.x, d.y) - 0.44 : d.x + d.y - 0.5;
          gl_FragColor = vColour * clamp(-edge * vSize, 0.0, 1.0);
        }`,
    },
    resources: { view: map.view },
  });
  const mesh = new PIXI.Mesh({ geometry: map.geometry, shader });
  mesh.cullable = false;
  map.app.stage.addChild(mesh);
}

// Noise below, then the large clusters: small ones are not covered.
function drawingOrder() {
  const order = new Int32Array(images.count);
  let at = 0;
  const numbers = [...clusters.keys()].sort((a, b) =>
    a < 0 ? -1 : b < 0 ? 1 : clusters.get(b).size - clusters.get(a).size,
  );
  for (const number of numbers) for (const index of clusters.get(number).members) order[at++] = index;
  return order;
}

function recolour() {
  for (let at = 0; at < images.count; at++) {
    const index = map.order[at];
    const cluster = clusters.get(images.cluster[index]);
    cluster.rgb ??= [1, 3, 5].map((from) => parseInt(cluster.colour.slice(from, from + 2), 16));
    map.colours.set(cluster.rgb, 4 * at);
    map.colours[4 * at + 3] = search.fits && !search.fits[index] ? 24 : cluster.number < 0 ? 140 : 205;
  }
  map.geometry.attributes.aColour.buffer.update();
}
