// Grids of images: each a button, walked with the arrow keys; long ones grow as they are scrolled.

const GROWS_BY = 240;

function tileOf(index) {
  const cluster = clusters.get(images.cluster[index]);
  const marks = [];
  if (cluster.medoid === index) marks.push(element("span", { class: "badge" }, "typical"));
  const target = plan.misplaced.get(index);
  if (target !== undefined) marks.push(element("span", { class: "badge moved" }, `→ ${target < 0 ? "noise" : target}`));
  const sure = cluster.number < 0 ? "" : `, confidence ${rounded(images.confidence[index])}`;
  return element(
    "button",
    {
      type: "button",
      class: "tile",
      tabindex: "-1",
      "data-image": index,
      "aria-label": `${images.path(index)}${sure}${cluster.medoid === index ? ", the most typical" : ""}`,
      title: images.path(index),
    },
    picture(index),
    ...marks,
  );
}

// `list` are images; a click opens one of them among its neighbours in the list.
function tileGrid(list, label, { strip = false } = {}) {
  const grid = element("div", { class: strip ? "tiles strip" : "tiles", role: "group", "aria-label": label });
  let shown = 0;
  const more = element("button", { type: "button", class: "more" });
  const grow = () => {
    const next = list.slice(shown, shown + GROWS_BY).map(tileOf);
    shown += next.length;
    if (more.isConnected) more.before(...next);
    else grid.append(...next);
    if (shown < list.length) {
      more.textContent = `${whole(list.length - shown)} more`;
      if (!more.isConnected) grid.append(more);
    } else more.remove();
    if (!grid.querySelector('[tabindex="0"]') && next[0]) next[0].tabIndex = 0;
  };
  more.addEventListener("click", () => {
    const last = more.previousElementSibling;
    grow();
    step(grid, last, 1);
  });
  grow();
  if (shown < list.length && "IntersectionObserver" in window)
    new IntersectionObserver((seen) => seen.some((entry) => entry.isIntersecting) && more.isConnected && grow(), {
      rootMargin: "600px",
    }).observe(more);
  grid.addEventListener("click", (event) => {
    const tile = event.target.closest(".tile");
    if (tile) openImage(Number(tile.dataset.image), list, tile);
  });
  grid.addEventListener("keydown", (event) => {
    const tile = event.target.closest(".tile");
    if (!tile || event.altKey || event.ctrlKey || event.metaKey) return;
    const columns = columnsOf(grid);
    const steps = {
      ArrowRight: 1,
      ArrowLeft: -1,
      ArrowDown: columns,
      ArrowUp: -columns,
      Home: -Infinity,
      End: Infinity,
    };
    if (event.key in steps) {
      event.preventDefault();
      step(grid, tile, steps[event.key]);
    }
  });
  return grid;
}

function step(grid, tile, by) {
  const all = [...grid.querySelectorAll(".tile")];
  const at = Math.max(0, Math.min(all.length - 1, all.indexOf(tile) + by));
  tile.tabIndex = -1;
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

// Tiles show decisions; those of a list are drawn again where something about their image was decided.
plan.watchers.push(() => {
  for (const tile of document.querySelectorAll(".tile")) {
    const index = Number(tile.dataset.image);
    const target = plan.misplaced.get(index);
    tile.querySelector(".moved")?.remove();
    if (target !== undefined)
      tile.append(element("span", { class: "badge moved" }, `→ ${target < 0 ? "noise" : target}`));
  }
});
