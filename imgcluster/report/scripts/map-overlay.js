// Which pictures and labels the map shows, and the frames around the hovered and the marked image.

const PICTURE_SIZE = 46;
const LARGEST_PICTURE = 88;
const MEDOID_SIZE = 40;
const MOST_PICTURES = 260;
const FEW_IMAGES = 60; // so few images are shown as pictures at any zoom
const LEAST_DISTANCE = 0.62; // between pictures, relative to their size

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
  for (const cluster of clusters.values()) for (const index of cluster.representatives) placePicture(index, taken);
  for (let at = images.count - 1; at >= 0 && map.pictures.length < MOST_PICTURES; at--)
    placePicture(map.order[at], taken);
}

// Adds the picture of an image that is visible, matches the search, has a thumbnail, and has room.
function placePicture(index, taken) {
  const size = map.pictureSize;
  const x = toScreenX(index);
  if (x < -size || x > map.width + size || map.pictures.length >= MOST_PICTURES) return;
  const y = toScreenY(index);
  if (y < -size || y > map.height + size || (search.matches && !search.matches[index])) return;
  const gap = size * LEAST_DISTANCE;
  const cell = Math.round(x / gap) * 65536 + Math.round(y / gap);
  if ([0, 65536, -65536, 1, -1].some((step) => taken.has(cell + step))) return;
  const tile = findTile(index);
  if (!tile) return;
  taken.add(cell);
  map.pictures.push({ index, x, y, size, tile, color: clusters.get(images.cluster[index]).rgb });
}

function createLabels() {
  map.labels = [...clusters.values()]
    .filter((cluster) => cluster.medoid !== null)
    .map((cluster) => ({ cluster, label: element("span", { style: { "--color": cluster.color } }) }));
  byId("map-labels").append(...map.labels.map(({ label }) => label));
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

// Labels lie on the lower edge of the medoids' pictures, those of large clusters first; none covers another.
function placeLabels() {
  const placed = [];
  for (const { cluster, label, width, height } of map.labels) {
    const x = toScreenX(cluster.medoid);
    const y = toScreenY(cluster.medoid) + map.pictureSize / 2 - height / 4;
    const box = { left: x - width / 2 - 2, right: x + width / 2 + 2, top: y, bottom: y + height + 2 };
    const outside = box.left < 0 || box.top < 0 || box.right > map.width || box.bottom > map.height;
    const filtered = search.matches && !cluster.found?.length;
    const covers = (other) =>
      box.left < other.right && box.right > other.left && box.top < other.bottom && box.bottom > other.top;
    const hidden = outside || filtered || placed.some(covers);
    if (label.hidden !== hidden) label.hidden = hidden;
    if (hidden) continue;
    placed.push(box);
    label.style.transform = `translate(${Math.round(x - width / 2)}px, ${Math.round(y)}px)`;
  }
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
  card.style.left = `${Math.max(4, Math.min(map.width - width - 4, left))}px`;
  card.style.top = `${Math.max(4, Math.min(map.height - height - 4, y - height / 2))}px`;
}
