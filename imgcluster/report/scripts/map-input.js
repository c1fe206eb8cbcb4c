// Pointer, touch, wheel and keyboard input of the map.

const REACH = 14; // pixels: how near to a point the pointer has to be
const DRAG_FROM = 4; // pixels: shorter movements are clicks
const KEY_STEP = 60;
const NEIGHBORS = 200;

// The image at a position of the map: the topmost picture there, otherwise the nearest point within reach, or -1.
function imageAt(x, y, reach) {
  const covers = ({ index, size }) =>
    Math.abs(toScreenX(index) - x) <= size / 2 && Math.abs(toScreenY(index) - y) <= size / 2;
  const picture = map.pictures.find(covers);
  if (picture) return picture.index;
  const mapX = (x - map.width / 2) / map.scale + map.x;
  const mapY = map.y - (y - map.height / 2) / map.scale;
  let found = -1;
  let nearest = (reach / map.scale) ** 2;
  for (let index = 0; index < images.count; index++) {
    const dx = images.points[2 * index] - mapX;
    const dy = images.points[2 * index + 1] - mapY;
    const distance = dx * dx + dy * dy;
    if (distance < nearest && (!search.matches || search.matches[index])) {
      nearest = distance;
      found = index;
    }
  }
  return found;
}

// An image and the images of its cluster nearest to it on the map, to browse in its dialog.
function neighborsOnMap(index) {
  const [x, y] = [images.points[2 * index], images.points[2 * index + 1]];
  const distance = (other) => (images.points[2 * other] - x) ** 2 + (images.points[2 * other + 1] - y) ** 2;
  return clusters
    .get(images.cluster[index])
    .members.map((other) => [other === index ? -1 : distance(other), other])
    .sort((a, b) => a[0] - b[0])
    .slice(0, NEIGHBORS)
    .map(([, other]) => other);
}

function openFromMap(index) {
  if (index >= 0) openImage(index, neighborsOnMap(index), byId("map-view"));
}

function listenToMap(view) {
  listenToPointers(view);
  view.addEventListener("wheel", zoomWithWheel, { passive: false });
  view.addEventListener("dblclick", (event) => map.selecting || zoomMap(2, event.offsetX, event.offsetY));
  view.addEventListener("keydown", pressKey);
  byId("map-in").addEventListener("click", () => {
    zoomMap(1.6);
    keepImageInView(map.width / 2, map.height / 2, 1 / 4);
  });
  byId("map-out").addEventListener("click", () => zoomMap(1 / 1.6));
  byId("map-select").addEventListener("click", () => {
    map.selecting = !map.selecting;
    byId("map-select").setAttribute("aria-pressed", String(map.selecting));
    view.classList.toggle("selecting", map.selecting);
  });
  byId("map-all").addEventListener("click", () => {
    map.marked = -1;
    showWholeMap();
  });
}

function listenToPointers(view) {
  const pointers = new Map(); // the pressed pointers and their positions
  let distance = 0; // moved since the first was pressed
  let corner = null; // where a rectangle starts
  const frame = byId("map-rectangle");
  const position = (event) => {
    const box = view.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  view.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    view.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, position(event));
    distance = pointers.size === 1 ? 0 : Infinity;
    corner = pointers.size === 1 && (map.selecting || event.shiftKey) ? position(event) : null;
    frame.hidden = true;
  });
  view.addEventListener("pointermove", (event) => {
    const [x, y] = position(event);
    const last = pointers.get(event.pointerId);
    if (!last) {
      if (event.pointerType !== "touch") hoverImage(imageAt(x, y, REACH));
      return;
    }
    const before = pinch(pointers);
    pointers.set(event.pointerId, [x, y]);
    distance += Math.abs(x - last[0]) + Math.abs(y - last[1]);
    if (distance > DRAG_FROM) hoverImage(-1);
    if (corner) {
      frame.hidden = distance <= DRAG_FROM;
      showRectangle(frame, corner, [x, y]);
    } else if (before) {
      const after = pinch(pointers);
      panMap(after.x - before.x, after.y - before.y);
      zoomMap(after.spread / Math.max(1, before.spread), after.x, after.y);
    } else panMap(x - last[0], y - last[1]);
  });
  const release = (event) => {
    const pressed = pointers.delete(event.pointerId);
    frame.hidden = true;
    if (!pressed || event.type !== "pointerup" || pointers.size) return;
    if (distance > DRAG_FROM) {
      if (corner) selection.replace(selection.afterRectangle(event, selection.images, imagesBetween(corner, position(event))));
      return;
    }
    const index = imageAt(...position(event), event.pointerType === "touch" ? 2 * REACH : REACH);
    if (!(map.selecting || event.shiftKey || event.ctrlKey || event.metaKey)) openFromMap(index);
    else if (index >= 0) selection.toggle(index);
  };
  view.addEventListener("pointerup", release);
  view.addEventListener("pointercancel", release);
  view.addEventListener("pointerleave", () => pointers.size || hoverImage(-1));
}

// The images that match the search in a rectangle between two positions of the map.
function imagesBetween([ax, ay], [bx, by]) {
  const inside = [];
  for (let index = 0; index < images.count; index++) {
    const [x, y] = [toScreenX(index), toScreenY(index)];
    if ((x - ax) * (x - bx) <= 0 && (y - ay) * (y - by) <= 0 && (!search.matches || search.matches[index]))
      inside.push(index);
  }
  return inside;
}

// The middle and the distance of two fingers; null for any other number of pointers.
function pinch(pointers) {
  if (pointers.size !== 2) return null;
  const [[ax, ay], [bx, by]] = pointers.values();
  return { x: (ax + bx) / 2, y: (ay + by) / 2, spread: Math.hypot(ax - bx, ay - by) };
}

function zoomWithWheel(event) {
  event.preventDefault();
  const box = byId("map-view").getBoundingClientRect();
  const pixels = event.deltaY * [1, 20, 400][event.deltaMode];
  const factor = Math.exp(-clamp(pixels, -240, 240) / (event.ctrlKey ? 90 : 320));
  zoomMap(factor, event.clientX - box.left, event.clientY - box.top);
}

// Moving selects the image nearest to the middle; zooming keeps the selected image in place.
function pressKey(event) {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const pans = {
    ArrowLeft: [KEY_STEP, 0],
    ArrowRight: [-KEY_STEP, 0],
    ArrowUp: [0, KEY_STEP],
    ArrowDown: [0, -KEY_STEP],
  };
  const zooms = { "+": 1.5, "=": 1.5, "-": 1 / 1.5 };
  const nearestToMiddle = () => imageAt(map.width / 2, map.height / 2, Infinity);
  if (event.key in pans) {
    if (event.shiftKey && map.hovered >= 0) selection.add([map.hovered]);
    panMap(...pans[event.key]);
    hoverImage(nearestToMiddle());
    if (event.shiftKey && map.hovered >= 0) selection.add([map.hovered]);
  } else if (event.key in zooms) {
    const selected = map.hovered >= 0 ? map.hovered : nearestToMiddle();
    if (selected >= 0) zoomMap(zooms[event.key], toScreenX(selected), toScreenY(selected));
    hoverImage(selected);
  } else if (event.key === "0") {
    showWholeMap();
    hoverImage(nearestToMiddle());
  } else if (event.key === " ") {
    hoverImage(map.hovered >= 0 ? map.hovered : nearestToMiddle());
    if (map.hovered >= 0) selection.toggle(map.hovered);
  } else if (event.key === "Enter") openFromMap(map.hovered);
  else return;
  event.preventDefault();
}
