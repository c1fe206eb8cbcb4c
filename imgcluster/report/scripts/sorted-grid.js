// A grid of images with a choice of their order.

// Each order: its title and the comparison of two images; ties keep the order of the list.
const ORDERS = {
  confident: ["highest confidence first", (a, b) => images.confidence[b] - images.confidence[a]],
  uncertain: ["lowest confidence first", (a, b) => images.confidence[a] - images.confidence[b]],
  name: ["by path", (a, b) => collator.compare(images.path(a), images.path(b))],
  largest: ["most pixels first", (a, b) => images.pixels[b] - images.pixels[a]],
  smallest: ["fewest pixels first", (a, b) => images.pixels[a] - images.pixels[b]],
  ...(images.captured && { oldest: ["oldest photograph first", byDate(1)], newest: ["newest photograph first", byDate(-1)] }),
};
const collator = new Intl.Collator("en", { numeric: true });

// Compares capture times; unknown ones are last in both directions.
function byDate(sign) {
  return (a, b) => {
    const [first, second] = [images.captured[a], images.captured[b]];
    return Number.isNaN(first) - Number.isNaN(second) || sign * (first - second) || 0;
  };
}

let order = "confident"; // kept from one cluster to the next

// A heading with the list of orders, and the grid, which is replaced when another one is chosen.
function sortedGrid(list, heading, label) {
  const slot = element("div", { class: "grid-slot" });
  const options = Object.entries(ORDERS).map(([value, [title]]) => element("option", { value }, title));
  const select = element("select", { id: "order", "aria-label": "Order of the images" }, ...options);
  select.value = order;
  const fill = () => slot.replaceChildren(tileGrid([...list].sort(ORDERS[order][1]), label));
  select.addEventListener("change", () => {
    order = select.value;
    fill();
  });
  fill();
  return [element("div", { class: "grid-head" }, element("h3", {}, heading), select), slot];
}
