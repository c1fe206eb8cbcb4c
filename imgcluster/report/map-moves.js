// How the map is moved and asked: by pointer, fingers, wheel and keys.

// The image at a place on the map: a picture that covers it, else the nearest point within reach.
function imageAt(x, y, reach) {
  const covering = map.shown.find(
    (picture) => Math.abs(picture.x - x) <= picture.size / 2 && Math.abs(picture.y - y) <= picture.size / 2,
  );
  if (covering) return covering.index;
  const wantedX = (x - map.width / 2) / map.scale + map.x,
    wantedY = map.y - (y - map.height / 2) / map.scale;
  let found = -1,
    nearest = (reach / map.scale) ** 2;
  for (let index = 0; index < images.count; index++) {
    const dx = images.points[2 * index] - wantedX,
      dy = images.points[2 * index + 1] - wantedY;
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
    if (index >= 0)
      box.replaceChildren(
        picture(index),
        element("span", { class: "path" }, images.names[index]),
        element("span", { class: "soft" }, fullTitle(images.cluster[index])),
      );
  }
  if (index >= 0) {
    const x = across(index),
      y = down(index);
    const left = x > map.width / 2 ? x - box.offsetWidth - 52 : x + 52;
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
  const x = images.points[2 * index],
    y = images.points[2 * index + 1];
  const distance = (other) => (images.points[2 * other] - x) ** 2 + (images.points[2 * other + 1] - y) ** 2;
  const near = [...clusters.get(images.cluster[index]).members].map((other) => [distance(other), other]);
  return near
    .sort((a, b) => a[0] - b[0] || (a[1] === index ? -1 : 1))
    .slice(0, 200)
    .map(([, other]) => other);
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
  view.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const pixels = event.deltaY * (event.deltaMode === 1 ? 20 : event.deltaMode === 2 ? 400 : 1);
      zoom(Math.exp(-Math.max(-240, Math.min(240, pixels)) / (event.ctrlKey ? 90 : 320)), ...at(event));
    },
    { passive: false },
  );
  view.addEventListener("dblclick", (event) => zoom(2, ...at(event)));
  view.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const leap = 60;
    const moves = { ArrowLeft: [leap, 0], ArrowRight: [-leap, 0], ArrowUp: [0, leap], ArrowDown: [0, -leap] };
    if (moves[event.key]) move(...moves[event.key]);
    else if (event.key === "+" || event.key === "=") zoom(1.5);
    else if (event.key === "-") zoom(1 / 1.5);
    else if (event.key === "0") {
      showAll();
      drawSoon();
    } else if (event.key === "Enter" && map.chosen >= 0) openImage(map.chosen, around(map.chosen), view);
    else return;
    event.preventDefault();
    if (event.key !== "Enter") choose(imageAt(map.width / 2, map.height / 2, Infinity));
  });
  byId("map-in").addEventListener("click", () => zoom(1.6));
  byId("map-out").addEventListener("click", () => zoom(1 / 1.6));
  byId("map-all").addEventListener("click", () => {
    map.ring = -1;
    showAll();
    drawSoon();
  });
}
