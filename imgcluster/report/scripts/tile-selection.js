// Selecting the images of a grid with the pointer and with keys.

const SCROLL_EDGE = 40; // pixels from the edge of a dialog where a rectangle scrolls it
const SCROLL_STEP = 18;

// Selects with a click on the check, or with Shift, Ctrl or Cmd; returns whether the click selected.
function selectWithClick(event, index, list) {
  if (event.shiftKey) selection.extend(list, index);
  else if (event.ctrlKey || event.metaKey || event.target.closest(".tick")) selection.toggle(index);
  else return false;
  return true;
}

// Space selects the focused tile, Ctrl+A all images of the list; returns whether the key was one of these.
function selectWithKey(event, list) {
  const focused = event.target.closest(".tile");
  if (!focused || event.altKey) return false;
  if (event.key === " " && !event.shiftKey) selection.toggle(Number(focused.dataset.image));
  else if (event.key.toLowerCase() === "a" && (event.ctrlKey || event.metaKey)) selection.add(list);
  else return false;
  event.preventDefault();
  return true;
}

// Dragging selects with a rectangle. Fingers scroll instead.
function listenToRectangles(grid) {
  let start = null;
  let frame = null;
  let before = [];
  const position = (event) => {
    const box = grid.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  grid.addEventListener("pointerdown", (event) => {
    frame = null;
    const drags = event.button === 0 && event.pointerType !== "touch" && !event.target.closest(".copy-facts");
    start = drags ? position(event) : null;
    before = selection.sorted;
  });
  grid.addEventListener("pointermove", (event) => {
    if (!start || !event.buttons) return;
    const [x, y] = position(event);
    if (!frame) {
      if (Math.hypot(x - start[0], y - start[1]) <= DRAG_FROM) return;
      frame = element("div", { class: "rectangle" });
      grid.append(frame);
      grid.setPointerCapture(event.pointerId);
    }
    scrollAtEdge(grid, event.clientY);
    const box = showRectangle(frame, start, [x, y]);
    selection.replace(selection.afterRectangle(event, before, tilesInside(grid, box)));
  });
  const release = () => {
    start = null;
    frame?.remove();
  };
  grid.addEventListener("pointerup", release);
  grid.addEventListener("pointercancel", release);
  grid.addEventListener("dragstart", (event) => event.preventDefault());
  // The click after dragging opens no image.
  grid.addEventListener(
    "click",
    (event) => {
      if (frame) event.stopImmediatePropagation();
      frame = null;
    },
    true,
  );
}

// Draws a rectangle between two positions, and returns its edges.
function showRectangle(frame, [ax, ay], [bx, by]) {
  const box = { left: Math.min(ax, bx), top: Math.min(ay, by), right: Math.max(ax, bx), bottom: Math.max(ay, by) };
  frame.style.transform = `translate(${box.left}px, ${box.top}px)`;
  frame.style.width = `${box.right - box.left}px`;
  frame.style.height = `${box.bottom - box.top}px`;
  return box;
}

function tilesInside(grid, box) {
  return [...grid.querySelectorAll(".tile")]
    .filter(
      ({ offsetLeft: left, offsetTop: top, offsetWidth: width, offsetHeight: height }) =>
        left < box.right && left + width > box.left && top < box.bottom && top + height > box.top,
    )
    .map((tile) => Number(tile.dataset.image));
}

function scrollAtEdge(grid, y) {
  const dialog = grid.closest("dialog");
  if (!dialog) return;
  const { top, bottom } = dialog.getBoundingClientRect();
  if (y > bottom - SCROLL_EDGE) dialog.scrollTop += SCROLL_STEP;
  else if (y < top + SCROLL_EDGE) dialog.scrollTop -= SCROLL_STEP;
}

selection.listeners.push(() => {
  for (const shown of document.querySelectorAll(".tile")) showSelected(shown);
});

// Marks a tile that is selected.
function showSelected(shown) {
  const selected = selection.images.has(Number(shown.dataset.image));
  if (shown.classList.contains("selected") === selected) return;
  shown.classList.toggle("selected", selected);
  labelTile(shown);
}
