// The map: every image a point, drawn by PixiJS; pictures where there is room. Only this file knows PixiJS.

const map = {
  x: 0, // what is in the middle, in the layout's own units, which reach from -1 to 1
  y: 0,
  scale: 1, // pixels to a unit
  fit: 1, // the scale that shows all
  width: 0,
  height: 0,
  chosen: -1, // the image under the pointer, or in the middle when moved by keys
  ring: -1, // the image that was asked for
  queued: false,
};

const PICTURE = 46;
const MEDOID = 40;
const PICTURES = 260;
const CLOSE = 3; // how much larger than at first the map must be for pictures of all
const FEW = 60; // so few images have their pictures from the start
const FARTHEST = 400;
const REACH = 14; // how near, in pixels, a pointer must come

async function startMap() {
  const home = byId("map");
  const view = byId("map-view");
  byId("map-how").textContent =
    `${data.mapHow}: similar images lie close together. Drag to move, scroll or pinch to come closer, click an image for its card.`;
  view.setAttribute("aria-label", `Map of ${counted(images.count, "image")}. The arrow keys move it, plus and minus zoom, Enter opens the image in the middle. The gallery holds the same images.`);
  try {
    if (!PIXI.isWebGLSupported()) throw new Error("no WebGL");
    map.app = new PIXI.Application();
    await map.app.init({
      preference: "webgl",
      width: view.clientWidth,
      height: view.clientHeight,
      resolution: Math.min(2, window.devicePixelRatio || 1),
      autoDensity: true,
      antialias: false,
      backgroundAlpha: 0,
      autoStart: false,
      sharedTicker: false,
      eventFeatures: { move: false, globalMove: false, click: false, wheel: false },
    });
  } catch (error) {
    home.dataset.state = "missing";
    home.replaceChildren(element("p", {}, "This browser draws no WebGL, so there is no map here; the clusters are all below."));
    byId("map-how").hidden = true;
    return;
  }
  view.append(map.app.canvas);
  map.app.canvas.setAttribute("aria-hidden", "true");
  map.app.stage.eventMode = "none";
  map.app.stage.interactiveChildren = false;
  makePoints();
  map.pictures = new PIXI.Container();
  map.app.stage.addChild(map.pictures);
  map.mark = new PIXI.Graphics();
  map.app.stage.addChild(map.mark);
  map.labels = [...clusters.values()].filter((cluster) => cluster.medoid !== null).map((cluster) => {
    const label = element("span", { style: { "--colour": cluster.colour } });
    byId("map-labels").append(label);
    return { cluster, label };
  });
  relabel();
  resizeMap();
  showAll();
  listen(view);
  new ResizeObserver(() => { resizeMap(); drawSoon(); }).observe(view);
  search.watchers.push(() => { recolour(); drawSoon(); });
  plan.watchers.push(() => { relabel(); drawSoon(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawSoon);
  draw();
  home.dataset.state = "ready";
}

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
  const numbers = [...clusters.keys()].sort((a, b) => (a < 0 ? -1 : b < 0 ? 1 : clusters.get(b).size - clusters.get(a).size));
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

function relabel() {
  for (const entry of map.labels) {
    entry.label.textContent = plan.nameOf(entry.cluster.number) || String(entry.cluster.number);
    entry.label.hidden = false;
  }
  // Measured here once: asked for in every frame, the browser would lay the page out as often.
  for (const entry of map.labels) {
    entry.width = entry.label.offsetWidth || 24;
    entry.height = entry.label.offsetHeight || 20;
  }
}

function resizeMap() {
  const view = byId("map-view");
  map.width = Math.max(50, view.clientWidth);
  map.height = Math.max(50, view.clientHeight);
  map.app.renderer.resize(map.width, map.height);
  const before = map.fit;
  map.fit = Math.min(map.width, map.height) / 2 - 26;
  map.scale = Math.max(map.fit * 0.5, (map.scale / before) * map.fit);
}

function showAll() {
  map.x = map.y = 0;
  map.scale = map.fit;
}

const across = (index) => (images.points[2 * index] - map.x) * map.scale + map.width / 2;
const down = (index) => (map.y - images.points[2 * index + 1]) * map.scale + map.height / 2;

function drawSoon() {
  if (map.queued) return;
  map.queued = true;
  requestAnimationFrame(() => {
    map.queued = false;
    draw();
  });
}

function draw() {
  const { uniforms } = map.view;
  uniforms.uMiddle[0] = map.x;
  uniforms.uMiddle[1] = map.y;
  uniforms.uScale[0] = (2 * map.scale) / map.width;
  uniforms.uScale[1] = (2 * map.scale) / map.height;
  const base = images.count > 30000 ? 3 : images.count > 5000 ? 4.5 : images.count > 1000 ? 6 : 8;
  uniforms.uSize = Math.min(14, base * Math.sqrt(Math.max(1, map.scale / map.fit))) * map.app.renderer.resolution;
  map.view.update();
  placePictures();
  placeLabels();
  placeMark();
  map.app.render();
}

// Medoids from afar; from near every picture that has room, those of typical images first.
function placePictures() {
  const shown = [];
  const taken = new Set();
  const fits = (index) => !search.fits || search.fits[index];
  const take = (index, size, gap) => {
    const x = across(index), y = down(index);
    if (x < -size || y < -size || x > map.width + size || y > map.height + size) return;
    const column = Math.round(x / gap), row = Math.round(y / gap);
    for (const cell of [`${column},${row}`, `${column + 1},${row}`, `${column},${row + 1}`, `${column - 1},${row}`, `${column},${row - 1}`])
      if (taken.has(cell)) return;
    const tile = findTile(index, true);
    if (!tile) return;
    taken.add(`${column},${row}`);
    shown.push([index, tile, x, y, size]);
  };
  const close = map.scale / map.fit;
  for (const { cluster } of map.labels) if (fits(cluster.medoid)) take(cluster.medoid, MEDOID, MEDOID * 0.62);
  if (close >= CLOSE || images.count <= FEW) {
    const size = Math.min(88, PICTURE * Math.sqrt(Math.max(1, close / CLOSE)));
    for (const cluster of clusters.values()) for (const index of cluster.representatives) if (shown.length < PICTURES && fits(index)) take(index, size, size * 0.62);
    for (let at = images.count - 1; at >= 0 && shown.length < PICTURES; at--) if (fits(map.order[at])) take(map.order[at], size, size * 0.62);
  }
  map.shown = shown.map(([index, , x, y, size]) => ({ index, x, y, size }));
  while (map.pictures.children.length < 2 * shown.length) map.pictures.addChild(new PIXI.Sprite(PIXI.Texture.WHITE));
  map.pictures.children.forEach((sprite, at) => (sprite.visible = at < 2 * shown.length));
  shown.reverse().forEach(([index, tile, x, y, size], at) => {
    const frame = map.pictures.children[2 * at], sprite = map.pictures.children[2 * at + 1];
    frame.tint = clusters.get(images.cluster[index]).colour;
    frame.setSize(size + 4);
    frame.position.set(Math.round(x - size / 2 - 2), Math.round(y - size / 2 - 2));
    const texture = textureOf(tile);
    sprite.visible = texture !== null;
    if (texture) sprite.texture = texture;
    sprite.setSize(size);
    sprite.position.set(Math.round(x - size / 2), Math.round(y - size / 2));
  });
}

// The texture of a tile; null while its sheet is being decoded, after which the map is drawn again.
function textureOf({ tier, number, column, row }) {
  tier.sources ??= [];
  tier.textures ??= new Map();
  if (tier.sources[number] === undefined) {
    tier.sources[number] = null;
    createImageBitmap(sheetBlob(tier, number)).then((bitmap) => {
      tier.sources[number] = new PIXI.ImageSource({ resource: bitmap, scaleMode: tier.side <= 40 ? "nearest" : "linear" });
      drawSoon();
    }, () => {});
  }
  const source = tier.sources[number];
  if (!source) return null;
  const key = `${number} ${column} ${row}`;
  if (!tier.textures.has(key))
    tier.textures.set(key, new PIXI.Texture({ source, frame: new PIXI.Rectangle(column * tier.side, row * tier.side, tier.side, tier.side) }));
  return tier.textures.get(key);
}

// Names under the medoids, the largest clusters first; what would cover another name stays away.
function placeLabels() {
  const placed = [];
  for (const { cluster, label, width, height } of map.labels) {
    const x = across(cluster.medoid), y = down(cluster.medoid) + MEDOID / 2 + 4;
    const box = [x - width / 2 - 2, y, x + width / 2 + 2, y + height + 2];
    const inside = box[0] > 0 && box[1] > 0 && box[2] < map.width && box[3] < map.height;
    const faded = search.fits && !cluster.found?.length;
    const hidden = !inside || faded || placed.some((other) => box[0] < other[2] && box[2] > other[0] && box[1] < other[3] && box[3] > other[1]);
    if (label.hidden !== hidden) label.hidden = hidden;
    if (hidden) continue;
    placed.push(box);
    label.style.transform = `translate(${Math.round(x)}px, ${Math.round(y)}px) translate(-50%, 0)`;
  }
}

function placeMark() {
  map.mark.clear();
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  for (const index of new Set([map.ring, map.chosen])) {
    if (index < 0) continue;
    const seen = map.shown.find((picture) => picture.index === index);
    const half = seen ? seen.size / 2 + 4 : 8;
    map.mark.rect(across(index) - half, down(index) - half, 2 * half, 2 * half).stroke({ width: 3, color: dark ? "#ffffff" : "#101214" });
  }
}

// The image at a place on the map: a picture that covers it, else the nearest point within reach.
function imageAt(x, y, reach) {
  const covering = map.shown.find((picture) => Math.abs(picture.x - x) <= picture.size / 2 && Math.abs(picture.y - y) <= picture.size / 2);
  if (covering) return covering.index;
  const wantedX = (x - map.width / 2) / map.scale + map.x, wantedY = map.y - (y - map.height / 2) / map.scale;
  let found = -1, nearest = (reach / map.scale) ** 2;
  for (let index = 0; index < images.count; index++) {
    const dx = images.points[2 * index] - wantedX, dy = images.points[2 * index + 1] - wantedY;
    const distance = dx * dx + dy * dy;
    if (distance < nearest && (!search.fits || search.fits[index])) {
      nearest = distance;
      found = index;
    }
  }
  return found;
}

function choose(index) {
  const box = byId("map-hover");
  if (index !== map.chosen) {
    map.chosen = index;
    box.hidden = index < 0;
    if (index >= 0) box.replaceChildren(picture(index), element("span", { class: "path" }, images.names[index]), element("span", { class: "soft" }, fullTitle(images.cluster[index])));
  }
  if (index >= 0) {
    const x = across(index), y = down(index);
    const left = x > map.width / 2 ? x - box.offsetWidth - 30 : x + 30;
    box.style.left = `${Math.max(4, Math.min(map.width - box.offsetWidth - 4, left))}px`;
    box.style.top = `${Math.max(4, Math.min(map.height - box.offsetHeight - 4, y - box.offsetHeight / 2))}px`;
  }
  drawSoon();
}

function zoom(factor, x = map.width / 2, y = map.height / 2) {
  const scale = Math.max(map.fit * 0.5, Math.min(map.fit * FARTHEST, map.scale * factor));
  map.x += (x - map.width / 2) * (1 / map.scale - 1 / scale);
  map.y -= (y - map.height / 2) * (1 / map.scale - 1 / scale);
  map.scale = scale;
  drawSoon();
}

function move(dx, dy) {
  map.x = Math.max(-1.2, Math.min(1.2, map.x - dx / map.scale));
  map.y = Math.max(-1.2, Math.min(1.2, map.y + dy / map.scale));
  drawSoon();
}

function showOnMap(index) {
  map.ring = index;
  map.x = images.points[2 * index];
  map.y = images.points[2 * index + 1];
  map.scale = Math.max(map.scale, map.fit * CLOSE);
  byId("map-section").scrollIntoView({ block: "nearest" });
  byId("map-view").focus({ preventScroll: true });
  choose(-1);
}

// Neighbours of an image on the map, to leap from one to the next in its card.
function around(index) {
  const x = images.points[2 * index], y = images.points[2 * index + 1];
  const distance = (other) => (images.points[2 * other] - x) ** 2 + (images.points[2 * other + 1] - y) ** 2;
  const near = [...clusters.get(images.cluster[index]).members].map((other) => [distance(other), other]);
  return near.sort((a, b) => a[0] - b[0] || (a[1] === index ? -1 : 1)).slice(0, 200).map(([, other]) => other);
}

function listen(view) {
  const fingers = new Map();
  let travelled = 0;
  const at = (event) => {
    const box = view.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const spread = () => {
    const [[ax, ay], [bx, by]] = [...fingers.values()];
    return { distance: Math.hypot(ax - bx, ay - by), x: (ax + bx) / 2, y: (ay + by) / 2 };
  };
  view.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    if (!fingers.size) travelled = 0;
    fingers.set(event.pointerId, at(event));
    view.setPointerCapture(event.pointerId);
  });
  view.addEventListener("pointermove", (event) => {
    const [x, y] = at(event);
    const last = fingers.get(event.pointerId);
    if (!last) {
      if (event.pointerType !== "touch") choose(imageAt(x, y, REACH));
      return;
    }
    const before = fingers.size === 2 ? spread() : null;
    fingers.set(event.pointerId, [x, y]);
    travelled += Math.abs(x - last[0]) + Math.abs(y - last[1]);
    if (travelled > 4) choose(-1);
    if (before) {
      const after = spread();
      move(after.x - before.x, after.y - before.y);
      zoom(after.distance / Math.max(1, before.distance), after.x, after.y);
    } else if (fingers.size === 1) move(x - last[0], y - last[1]);
  });
  const lift = (event) => {
    const was = fingers.delete(event.pointerId);
    if (!was || event.type !== "pointerup" || travelled > 4 || fingers.size) return;
    const found = imageAt(...at(event), event.pointerType === "touch" ? 2 * REACH : REACH);
    if (found >= 0) openImage(found, around(found), view);
  };
  view.addEventListener("pointerup", lift);
  view.addEventListener("pointercancel", lift);
  view.addEventListener("pointerleave", () => fingers.size || choose(-1));
  view.addEventListener("wheel", (event) => {
    event.preventDefault();
    const pixels = event.deltaY * (event.deltaMode === 1 ? 20 : event.deltaMode === 2 ? 400 : 1);
    zoom(Math.exp(-Math.max(-240, Math.min(240, pixels)) / (event.ctrlKey ? 90 : 320)), ...at(event));
  }, { passive: false });
  view.addEventListener("dblclick", (event) => zoom(2, ...at(event)));
  view.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const leap = 60;
    const moves = { ArrowLeft: [leap, 0], ArrowRight: [-leap, 0], ArrowUp: [0, leap], ArrowDown: [0, -leap] };
    if (moves[event.key]) move(...moves[event.key]);
    else if (event.key === "+" || event.key === "=") zoom(1.5);
    else if (event.key === "-") zoom(1 / 1.5);
    else if (event.key === "0") { showAll(); drawSoon(); }
    else if (event.key === "Enter" && map.chosen >= 0) openImage(map.chosen, around(map.chosen), view);
    else return;
    event.preventDefault();
    if (event.key !== "Enter") choose(imageAt(map.width / 2, map.height / 2, Infinity));
  });
  byId("map-in").addEventListener("click", () => zoom(1.6));
  byId("map-out").addEventListener("click", () => zoom(1 / 1.6));
  byId("map-all").addEventListener("click", () => { map.ring = -1; showAll(); drawSoon(); });
}
