// Which pictures and labels the map shows, and the frames around the hovered and the marked image.

const PICTURE_SIZE = 46;
const LARGEST_PICTURE = 88;
const MEDOID_SIZE = 40;
const MOST_PICTURES = 260;
const MANY_LABELS = 60;
const FEW_IMAGES = 60; // so few images are shown as pictures at any zoom
const LEAST_DISTANCE = 0.62; // between pictures, relative to their size
const LABEL_GAP = 2;
const LABEL_RINGS = 6;
// Where a label may lie, in half widths and heights of labels, nearest first.
const LABEL_OFFSETS = [...Array((2 * LABEL_RINGS + 1) ** 2).keys()]
  .map((at) => [(at % (2 * LABEL_RINGS + 1)) - LABEL_RINGS, Math.floor(at / (2 * LABEL_RINGS + 1)) - LABEL_RINGS])
  .sort((a, b) => Math.hypot(...a) - Math.hypot(...b));

// From afar the medoids; close up as many images as there is room for, typical ones first.
function placePictures() {
  const zoom = map.scale / map.fit;
  const all = zoom >= CLOSE_UP || images.count <= FEW_IMAGES;
  map.pictureSize = all
    ? Math.min(LARGEST_PICTURE, PICTURE_SIZE * Math.sqrt(Math.max(1, zoom / CLOSE_UP)))
    : MEDOID_SIZE;
  map.pictures = [];
  const taken = new Set();
  for (const { cluster } of map.labels) placePicture(cluster.medoid, taken);
  if (!all) return;
  map.candidates ??= pictureCandidates();
  for (const index of map.candidates) {
    if (map.pictures.length >= MOST_PICTURES) break;
    placePicture(index, taken);
  }
}

// All images with a thumbnail, typical ones first.
function pictureCandidates() {
  const typical = [...clusters.values()].flatMap((cluster) => cluster.representatives);
  const all = new Set([...typical, ...map.order.toReversed()]);
  return Int32Array.from(all).filter((index) => findTile(index));
}

// Adds the picture of an image that is visible, matches the search, has a thumbnail, and has room.
function placePicture(index, taken) {
  const size = map.pictureSize;
  const x = toScreenX(index);
  if (x < -size || x > map.width + size) return;
  const y = toScreenY(index);
  if (y < -size || y > map.height + size || (search.matches && !search.matches[index])) return;
  const gap = size * LEAST_DISTANCE;
  const cell = Math.round(x / gap) * 65536 + Math.round(y / gap);
  if ([0, 65536, -65536, 1, -1].some((step) => taken.has(cell + step))) return;
  const tile = findTile(index);
  if (!tile) return;
  taken.add(cell);
  map.pictures.push({ index, x, y, size, tile, color: pointColor(index) });
}

function createLabels() {
  const lines = byId("map-lines");
  map.labels = [...clusters.values()]
    .filter((cluster) => cluster.medoid !== null)
    .map((cluster) => ({
      cluster,
      label: element("span", { style: { "--color": cluster.color } }),
      line: document.createElementNS(lines.namespaceURI, "line"),
    }));
  lines.append(...map.labels.map(({ line }) => line));
  byId("map-labels").append(...map.labels.map(({ label }) => label));
  byId("map-labels").classList.toggle("many", map.labels.length > MANY_LABELS);
  relabelMap();
}

function relabelMap() {
  for (const { cluster, label } of map.labels) {
    label.textContent = plan.nameOf(cluster.number) || String(cluster.number);
    label.hidden = false;
  }
  // Measured once: reading a size in every frame forces a layout each time.
  for (const entry of map.labels) {
    entry.width = entry.label.offsetWidth || 24;
    entry.height = entry.label.offsetHeight || 20;
  }
}

// Labels lie on the lower edge of the medoids' pictures, those of large clusters first. One that would cover another is
// placed at the nearest free position around its picture, with a line to it. Where no position is free, as among
// hundreds of clusters in a small window, it is hidden until the map is zoomed in.
function placeLabels() {
  const placed = [map.buttons];
  for (const { cluster, label, line, width, height } of map.labels) {
    const x = toScreenX(cluster.medoid);
    const y = toScreenY(cluster.medoid);
    const outside = x < 0 || y < 0 || x > map.width || y > map.height;
    const filtered = search.matches && !cluster.found?.length;
    const box = outside || filtered ? undefined : freeBox(x, y, width, height, placed);
    if (label.hidden !== !box) label.hidden = !box;
    line.style.display = box?.moved ? "" : "none";
    if (!box) continue;
    placed.push(box);
    label.style.transform = `translate(${Math.round(box.left)}px, ${Math.round(box.top)}px)`;
    if (!box.moved) continue;
    const ends = { x1: x, y1: y, x2: box.left + width / 2, y2: box.top + height / 2 };
    for (const [name, value] of Object.entries(ends)) line.setAttribute(name, Math.round(value));
  }
}

// The nearest box for a label that covers none of the placed ones; undefined if there is none.
function freeBox(x, y, width, height, placed) {
  for (const [dx, dy] of LABEL_OFFSETS) {
    const box = {
      left: clamp(x - width / 2 + dx * (width / 2 + LABEL_GAP), 2, map.width - width - 2),
      top: clamp(y + map.pictureSize / 2 - height / 4 + dy * (height + LABEL_GAP), 2, map.height - height - 2),
      width,
      height,
      moved: dx !== 0 || dy !== 0,
    };
    if (!placed.some((other) => overlap(box, other))) return box;
  }
}

function overlap(one, other) {
  return (
    one.left < other.left + other.width + LABEL_GAP &&
    other.left < one.left + one.width + LABEL_GAP &&
    one.top < other.top + other.height + LABEL_GAP &&
    other.top < one.top + one.height + LABEL_GAP
  );
}

function placeFrames() {
  placeFrame(byId("map-marked"), map.marked);
  placeFrame(byId("map-hovered"), map.hovered);
}

function placeFrame(frame, index) {
  frame.hidden = index < 0;
  if (frame.hidden) return;
  const picture = map.pictures.find((other) => other.index === index);
  const side = picture ? Math.round(picture.size) + 10 : 16;
  const [x, y] = [Math.round(toScreenX(index) - side / 2), Math.round(toScreenY(index) - side / 2)];
  frame.style.width = frame.style.height = `${side}px`;
  frame.style.transform = `translate(${x}px, ${y}px)`;
}

// Shows a card beside the image `index`; hides it for -1.
function hoverImage(index) {
  const card = byId("map-card");
  if (index !== map.hovered) {
    map.hovered = index;
    card.hidden = index < 0;
    if (index >= 0)
      card.replaceChildren(
        thumbnail(index),
        element("span", { class: "path" }, images.names[index]),
        element("span", { class: "soft" }, fullTitle(images.cluster[index])),
      );
  }
  placeFrames();
  if (index >= 0) placeCard(card, toScreenX(index), toScreenY(index));
}

function placeCard(card, x, y) {
  const [width, height] = [card.offsetWidth, card.offsetHeight];
  const distance = map.pictureSize / 2 + 16;
  const left = x > map.width / 2 ? x - width - distance : x + distance;
  card.style.left = `${clamp(left, 4, map.width - width - 4)}px`;
  card.style.top = `${clamp(y - height / 2, 4, map.height - height - 4)}px`;
}
