// Grids of thumbnails: each is a button, arrow keys move the focus, images are selected, long grids grow while scrolling.

const TILES_PER_STEP = 240;

// What the plan does with an image, or that it is pinned or set aside; "" for nothing.
function planned(index) {
  if (plan.aside.has(index)) return "set aside";
  if (plan.pinned.has(index)) return "pinned";
  if (plan.unsorted.has(index)) return "→ none";
  const target = plan.mergeTarget(plan.misplaced.get(index));
  if (target === undefined) return images.decisions.get(index) === "pinned" ? "pinned" : "";
  return `→ ${target === NOISE ? "noise" : target < NOISE ? `new ${NOISE - target}` : target}`;
}

// The same in words.
function plannedInWords(index) {
  const text = planned(index);
  if (!text.startsWith("→")) return text;
  const target = plan.mergeTarget(plan.misplaced.get(index));
  return `moves to ${target === undefined || target === NOISE ? "no cluster" : fullTitle(target)}`;
}

function planBadge(index) {
  const text = planned(index);
  return text ? element("span", { class: "badge moved" }, text) : null;
}

// The label of a tile for screen readers: what it shows, what the plan does with it, and whether it is selected.
function labelTile(shown) {
  const index = Number(shown.dataset.image);
  const parts = [shown.dataset.label, plannedInWords(index), selection.images.has(index) && "selected"];
  const label = parts.filter(Boolean).join(", ");
  if (shown.getAttribute("aria-label") !== label) shown.setAttribute("aria-label", label);
}

function tile(index, badge = "") {
  const cluster = clusters.get(images.cluster[index]);
  const typical = cluster.medoid === index;
  const confidence = cluster.number < 0 ? "" : `, confidence ${formatNumber(images.confidence[index])}`;
  const label = `${images.path(index)}${confidence}${typical ? ", most typical image" : ""}${badge ? `, ${badge}` : ""}`;
  const made = element(
    "button",
    {
      type: "button",
      class: "tile",
      tabindex: "-1",
      "data-image": index,
      "data-label": label,
      title: images.path(index),
    },
    thumbnail(index),
    element("span", { class: "tick", "aria-hidden": "true" }),
    badge || typical ? element("span", { class: "badge" }, badge || "typical") : null,
    planBadge(index),
  );
  showSelected(made);
  labelTile(made);
  return made;
}

// A grid of the images in `list`; a click opens an image, with the rest of the list before and after it. `withFacts`
// returns an element with a tile and what is known about its image.
function tileGrid(list, label, { strip = false, badges = null, withFacts = null } = {}) {
  const grid = element("div", { class: strip ? "tiles strip" : "tiles", role: "group", "aria-label": label });
  const more = element("button", { type: "button", class: "more" });
  let shown = 0;
  const grow = () => {
    const next = list.slice(shown, shown + TILES_PER_STEP).map((index) => {
      const made = tile(index, badges?.get(index));
      return withFacts ? withFacts(made, index) : made;
    });
    shown += next.length;
    if (more.isConnected) more.before(...next);
    else grid.append(...next);
    if (shown < list.length) {
      more.textContent = `Show ${formatInteger(list.length - shown)} more`;
      if (!more.isConnected) grid.append(more);
    } else more.remove();
    if (!grid.querySelector('.tile[tabindex="0"]') && next[0]) grid.querySelector(".tile").tabIndex = 0;
  };
  more.addEventListener("click", () => {
    const last = [...grid.querySelectorAll(".tile")].at(-1);
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
    if (!clicked) return;
    const index = Number(clicked.dataset.image);
    if (!selectWithClick(event, index, list)) openImage(index, list, clicked);
  });
  grid.addEventListener("keydown", (event) => selectWithKey(event, list) || moveFocus(grid, event, list));
  // Space selects and does not click.
  grid.addEventListener("keyup", (event) => event.key === " " && event.target.closest(".tile") && event.preventDefault());
  listenToRectangles(grid);
  return grid;
}

function moveFocus(grid, event, list) {
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
  const reached = focusTile(grid, focused, steps[event.key]);
  if (event.shiftKey) selection.extend(list, Number(reached.dataset.image), Number(focused.dataset.image));
}

function focusTile(grid, from, steps) {
  const all = [...grid.querySelectorAll(".tile")];
  const at = Math.max(0, Math.min(all.length - 1, all.indexOf(from) + steps));
  from.tabIndex = -1;
  all[at].tabIndex = 0;
  all[at].focus();
  all[at].scrollIntoView({ block: "nearest", inline: "nearest" });
  return all[at];
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
    const badge = planBadge(Number(shown.dataset.image));
    if (badge) shown.append(badge);
    labelTile(shown);
  }
});
