// The head of the page: what was found, warnings, details, skipped files, and a bar chart of cluster sizes.

const MANY_CLUSTERS = 24;
const MOST_BARS = 60;
const FEW_PATHS = 5;

function showOverview() {
  byId("sentences").append(
    ...data.sentences.map((text) => element("p", {}, text)),
    ...data.warnings.map((text) => element("p", { class: "warning", role: "note" }, text)),
  );
  byId("details").append(
    definitions(data.facts.map(([name, value]) => [name, element("span", { class: "path" }, value)])),
  );
  if (data.skipped.length) showSkipped();
  showSizes();
  plan.listeners.push(relabelSizes);
  relabelSizes();
}

// A bar for each cluster, the largest first; of very many, one sentence for all but the largest.
function showSizes() {
  const sorted = [...clusters.values()].sort((a, b) => b.size - a.size);
  const bars = sorted.slice(0, MOST_BARS);
  const rest = sorted.slice(MOST_BARS);
  byId("sizes").append(...bars.map((cluster) => sizeBar(cluster, cluster.size / sorted[0].size)));
  if (sorted.length <= MANY_CLUSTERS) return;
  byId("sizes").classList.add("many");
  byId("sizes-title").textContent += `, from ${formatInteger(sorted[0].size)} to ${formatInteger(sorted.at(-1).size)}`;
  if (!rest.length) return;
  const inRest = rest.reduce((sum, { size }) => sum + size, 0);
  byId("sizes").after(
    element(
      "p",
      { id: "sizes-rest", class: "soft" },
      `The ${MOST_BARS} largest are shown. ${formatCount(rest.length, "smaller cluster")} with ` +
        `${formatCount(rest[0].size, "image")} or fewer hold ${formatPercent(inRest / images.total)} of all images.`,
    ),
  );
}

function showSkipped() {
  const count = data.skipped.reduce((sum, [, files]) => sum + files, 0);
  const link = element("a", { href: "#skipped" }, `${formatCount(count, "file")} skipped`);
  const why = ` because ${count === 1 ? "it" : "they"} could not be read.`;
  byId("sentences").append(element("p", { class: "finding" }, link, why));
  byId("skipped").hidden = false;
  const row = ([reason, files, paths]) =>
    element("tr", {}, element("td", {}, reason, skippedPaths(files, paths)), element("td", {}, formatInteger(files)));
  byId("skipped")
    .querySelector("tbody")
    .append(...data.skipped.map(row));
}

// The paths of skipped files; many are shown on demand.
function skippedPaths(count, paths) {
  const list = element("ul", { class: "paths soft" }, ...paths.map((path) => element("li", { class: "path" }, path)));
  if (count > paths.length) list.append(element("li", {}, `and ${formatInteger(count - paths.length)} more in skipped.csv`));
  return paths.length <= FEW_PATHS ? list : element("details", {}, element("summary", {}, "Paths"), list);
}

function sizeBar({ number, size, color }, height) {
  const hidden = { "aria-hidden": "true" };
  const button = element(
    "button",
    { type: "button", "data-cluster": number, onclick: () => scrollToCluster(number) },
    element("span", { class: "count", ...hidden }, formatInteger(size)),
    element("span", { class: "column", style: { "--color": color, "--height": height } }),
    element("span", { class: "number", ...hidden }, number < 0 ? "noise" : String(number)),
  );
  return element("li", {}, button);
}

function relabelSizes() {
  for (const bar of byId("sizes").querySelectorAll("button")) {
    const number = Number(bar.dataset.cluster);
    const { size } = clusters.get(number);
    bar.title = `${fullTitle(number)}: ${formatCount(size, "image")} (${formatPercent(size / images.total)})`;
    bar.setAttribute("aria-label", bar.title);
  }
}

function scrollToCluster(number) {
  const section = byId(`cluster${number}`);
  if (section.hidden) return openCluster(number); // no image of it matches the search
  section.scrollIntoView({ block: "start" });
  section.querySelector("h3 button").focus({ preventScroll: true });
}
