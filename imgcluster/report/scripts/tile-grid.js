// Grids of thumbnails: each is a button, arrow keys move the focus, long grids grow while scrolling.

const TILES_PER_STEP = 240;

function movedBadge(index) {
  const target = plan.misplaced.get(index);
  return target === undefined ? null : element("span", { class: "badge moved" }, `→ ${target < 0 ? "noise" : target}`);
}

function tile(index) {
  const cluster = clusters.get(images.cluster[index]);
  const typical = cluster.medoid === index;
  const confidence = cluster.number < 0 ? "" : `, confidence ${formatNumber(images.confidence[index])}`;
  return element(
    "button",
    {
      type: "button",
      class: "tile",
      tabindex: "-1",
      "data-image": index,
      "aria-label": `${images.path(index)}${confidence}${typical ? ", most typical image" : ""}`,
      title: images.path(index),
    },
    thumbnail(index),
    typical ? element("span", { class: "badge" }, "typical") : null,
    movedBadge(index),
  );
}

// A grid of the images in `list`; a click opens an image, with the rest of the list before and after it.
function tileGrid(list, label, { strip = false } = {}) {
  const grid = element("div", { class: strip ? "tiles strip" : "tiles", role: "group", "aria-label": label });
  const more = element("button", { type: "button", class: "more" });
  let shown = 0;
  const grow = () => {
    const next = list.slice(shown, shown + TILES_PER_STEP).map(tile);
    shown += next.length;
    if (more.isConnected) more.before(...next);
    else grid.append(...next);
    if (shown < list.length) {
      more.textContent = `Show ${formatInteger(list.length - shown)} more`;
      if (!more.isConnected) grid.append(more);
    } else more.remove();
    if (!grid.querySelector('[tabindex="0"]') && next[0]) next[0].tabIndex = 0;
  };
  more.addEventListener("click", () => {
    const last = more.previousElementSibling;
    grow();
    focusTile(grid, last, 1);
  });
  grow();
  if (shown < list.length)
    new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && more.isConnected && grow(), {
      rootMargin: "600px",
    }).observe(more);
  grid.addEventListener("click", (event) => {
    const clicked = event.target.closest(".tile");
    if (clicked) openImage(Number(clicked.dataset.image), list, clicked);
  });
  grid.addEventListener("keydown", (event) => moveFocus(grid, event));
  return grid;
}

function moveFocus(grid, event) {
  const focused = event.target.closest(".tile");
  if (!focused || event.altKey || event.ctrlKey || event.metaKey) return;
  const columns = columnsOf(grid);
  const steps = {
    ArrowRight: 1,
    ArrowLeft: -1,
    ArrowDown: columns,
    ArrowUp: -columns,
    Home: -Infinity,
    End: Infinity,
  };
  if (!(event.key in steps)) return;
  event.preventDefault();
  focusTile(grid, focused, steps[event.key]);
}

function focusTile(grid, from, steps) {
  const all = [...grid.querySelectorAll(".tile")];
  const at = Math.max(0, Math.min(all.length - 1, all.indexOf(from) + steps));
  from.tabIndex = -1;
  all[at].tabIndex = 0;
  all[at].focus();
  all[at].scrollIntoView({ block: "nearest", inline: "nearest" });
}

function columnsOf(grid) {
  const all = grid.querySelectorAll(".tile");
  let columns = 1;
  while (columns < all.length && all[columns].offsetTop === all[0].offsetTop) columns++;
  return columns;
}

plan.listeners.push(() => {
  for (const shown of document.querySelectorAll(".tile")) {
    shown.querySelector(".moved")?.remove();
    const badge = movedBadge(Number(shown.dataset.image));
    if (badge) shown.append(badge);
  }
});
