// The map: every image a point, drawn by PixiJS; pictures where there is room. Only the map's files know PixiJS.

const map = {
  x: 0, // what is in the middle, in the layout's own units, which reach from -1 to 1
  y: 0,
  scale: 1, // pixels to a unit
  fit: 1, // the scale that shows all
  width: 0,
  height: 0,
  size: 0, // pixels of a picture
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
  view.setAttribute(
    "aria-label",
    `Map of ${counted(images.count, "image")}. The arrow keys move it, plus and minus zoom, Enter opens the image in the middle. The gallery holds the same images.`,
  );
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
    home.replaceChildren(
      element("p", {}, "This browser draws no WebGL, so there is no map here; the clusters are all below."),
    );
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
  map.labels = [...clusters.values()]
    .filter((cluster) => cluster.medoid !== null)
    .map((cluster) => {
      const label = element("span", { style: { "--colour": cluster.colour } });
      byId("map-labels").append(label);
      return { cluster, label };
    });
  relabel();
  resizeMap();
  showAll();
  listen(view);
  new ResizeObserver(() => {
    resizeMap();
    drawSoon();
  }).observe(view);
  search.watchers.push(() => {
    recolour();
    drawSoon();
  });
  plan.watchers.push(() => {
    relabel();
    drawSoon();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawSoon);
  draw();
  home.dataset.state = "ready";
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
