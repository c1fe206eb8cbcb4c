// The visible part of the map: its center and scale, and conversions between map units and pixels.

const CLOSE_UP = 3; // zoom from which all images get pictures, relative to the zoom that shows the whole map
const LARGEST_ZOOM = 400;
const SMALLEST_ZOOM = 0.5;
const MARGIN = 26;

const map = {
  x: 0, // the center, in map units: all points lie in [-1, 1]
  y: 0,
  scale: 1, // pixels per map unit
  fit: 1, // the scale that shows the whole map
  width: 0, // in CSS pixels
  height: 0,
  buttons: null, // their box, which labels leave free
  hovered: -1, // the image under the pointer, or the one selected with the keyboard
  marked: -1, // the image that "Show on map" was used for
  pictures: [], // the pictures shown: { index, x, y, size, tile, color }, the topmost first
  pictureSize: 0,
  selecting: false, // whether dragging selects
  frameRequested: false,
  printing: false, // on paper, colors are those of the light mode
};

const toScreenX = (index) => (images.points[2 * index] - map.x) * map.scale + map.width / 2;
const toScreenY = (index) => (map.y - images.points[2 * index + 1]) * map.scale + map.height / 2;

function resizeMap() {
  const view = byId("map-view");
  map.width = Math.max(50, view.clientWidth);
  map.height = Math.max(50, view.clientHeight);
  const { offsetLeft, offsetTop, offsetWidth, offsetHeight } = document.querySelector(".map-buttons");
  map.buttons = { left: offsetLeft, top: offsetTop, width: offsetWidth, height: offsetHeight };
  const zoom = map.scale / map.fit;
  map.fit = Math.min(map.width, map.height) / 2 - MARGIN;
  map.scale = zoom * map.fit;
}

function showWholeMap() {
  map.x = map.y = 0;
  map.scale = map.fit;
  requestDraw();
}

// Zooms about a position of the screen, which stays where it is.
function zoomMap(factor, x = map.width / 2, y = map.height / 2) {
  const scale = clamp(map.scale * factor, map.fit * SMALLEST_ZOOM, map.fit * LARGEST_ZOOM);
  map.x += (x - map.width / 2) * (1 / map.scale - 1 / scale);
  map.y -= (y - map.height / 2) * (1 / map.scale - 1 / scale);
  map.scale = scale;
  if (factor > 1) keepImageInView(x, y);
  requestDraw();
}

// Moves the image nearest to a position of the screen into the middle half of the view, if it is outside the view, or
// nearer to its border than a share of its size.
function keepImageInView(x, y, border = 0) {
  const nearest = imageAt(x, y, Infinity);
  if (nearest < 0) return;
  const [left, top] = [toScreenX(nearest), toScreenY(nearest)];
  const isInside = (at, size) => at >= border * size && at <= (1 - border) * size;
  if (isInside(left, map.width) && isInside(top, map.height)) return;
  panMap(
    clamp(left, map.width / 4, (3 * map.width) / 4) - left,
    clamp(top, map.height / 4, (3 * map.height) / 4) - top,
  );
}

function panMap(dx, dy) {
  map.x = clamp(map.x - dx / map.scale, -1.2, 1.2);
  map.y = clamp(map.y + dy / map.scale, -1.2, 1.2);
  requestDraw();
}

function showOnMap(index) {
  map.marked = index;
  map.x = images.points[2 * index];
  map.y = images.points[2 * index + 1];
  map.scale = Math.max(map.scale, map.fit * CLOSE_UP);
  byId("map-section").scrollIntoView({ block: "nearest" });
  byId("map-view").focus({ preventScroll: true });
  hoverImage(-1);
  requestDraw();
}
