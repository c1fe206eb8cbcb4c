// The dialog of one cluster: its name, where to merge it, its source folders and all its images.

const LOWEST_CONFIDENCE_SHOWN = 12;
const FOLDERS_SHOWN = 8;

function folderCounts(cluster) {
  const counts = new Map();
  for (const index of cluster.members) counts.set(images.folder[index], (counts.get(images.folder[index]) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
}

function folderBars(cluster) {
  const counts = folderCounts(cluster);
  const list = element("ol", { class: "shares" });
  for (const [folder, count] of counts.slice(0, FOLDERS_SHOWN)) {
    const share = count / cluster.members.length;
    list.append(
      element(
        "li",
        { style: { "--share": `${share * 100}%`, "--color": cluster.color } },
        element("span", { class: "path" }, images.folders[folder][0] || TOP_FOLDER),
        element("b", {}, formatPercent(share)),
      ),
    );
  }
  if (counts.length > FOLDERS_SHOWN)
    list.append(element("li", { class: "rest" }, `and ${formatCount(counts.length - FOLDERS_SHOWN, "more folder")}`));
  return list;
}

function nameField(number) {
  const input = element("input", {
    id: "name",
    type: "text",
    maxlength: "80",
    autocomplete: "off",
    value: plan.nameOf(number),
    placeholder: "no name",
  });
  const problem = element("p", { class: "problem", role: "alert" });
  const rename = () => {
    problem.textContent = plan.nameProblem(number, input.value);
    input.setAttribute("aria-invalid", problem.textContent !== "");
    if (!problem.textContent) plan.rename(number, input.value);
  };
  input.addEventListener("change", rename);
  const field = element("p", { class: "field" }, element("label", { for: "name" }, "Name"), input);
  return [field, suggestion(number, input, rename), problem];
}

// The suggested name and a button that takes it; empty without one.
function suggestion(number, input, rename) {
  const { suggestedName } = clusters.get(number);
  if (!suggestedName) return "";
  const take = () => {
    input.value = suggestedName;
    rename();
  };
  const button = element("button", { type: "button", class: "link", onclick: take }, "Use it");
  return element("p", { class: "soft" }, `Suggested name: ${suggestedName}. `, button);
}

function mergeField(number) {
  const select = clusterSelect("merge", "Do not merge", number);
  select.addEventListener("change", () => plan.merge(number, selectedCluster(select)));
  return element("p", { class: "field" }, element("label", { for: "merge" }, "Merge into"), select);
}

function splitField(number) {
  const most = Math.min(MOST_PARTS, clusters.get(number).size);
  if (most < 2) return "";
  const select = element("select", { id: "split" }, element("option", { value: "" }, "Do not split"));
  for (let parts = 2; parts <= most; parts++) select.append(element("option", { value: parts }, `${parts} parts`));
  select.value = plan.splits.get(number) ?? "";
  select.addEventListener("change", () => plan.split(number, selectedCluster(select)));
  return element("p", { class: "field" }, element("label", { for: "split" }, "Split into"), select);
}

function clusterFacts(cluster) {
  const similar = cluster.nearest.map(([other]) => clusterLink(other));
  return definitions([
    ["Size", `${formatCount(cluster.size, "image")} (${formatPercent(cluster.size / images.total)})`],
    ["Most similar clusters", similar.length ? element("span", { class: "links" }, ...similar) : null],
  ]);
}

function clusterDetails(cluster) {
  if (cluster.number < 0) return null;
  const number = (value) => (value === null ? null : formatNumber(value));
  return detailsOf([
    ["Mean confidence", isSampled(cluster) ? null : number(cluster.confidence)],
    ["Silhouette", cluster.silhouette === null ? "not defined" : number(cluster.silhouette)],
    ["Stability (bootstrap Jaccard)", number(cluster.stability)],
    ["Mean distance to the medoid", number(cluster.meanDistance)],
    [
      "Distance to the most similar clusters",
      cluster.nearest.map(([other, distance]) => `${formatNumber(distance)} (cluster ${other})`).join(", "),
    ],
  ]);
}

// Opens a cluster; `members` are those of its images that match the search.
function openCluster(number, members = null) {
  const dialog = byId("cluster-dialog");
  const cluster = clusters.get(number);
  const list = members ?? cluster.members;
  const title = element("h2", { id: "cluster-title" });
  const hint = "These images are not similar to any group of images. Select some, or open one, to move them to a cluster.";
  const fields =
    number < 0
      ? [element("p", { class: "soft" }, hint)]
      : [...nameField(number), mergeField(number), splitField(number)];
  const parts = [
    dialogHead(dialog, title),
    element(
      "div",
      { class: "cluster-body" },
      element("div", {}, ...fields, clusterFacts(cluster), clusterDetails(cluster)),
      element("div", {}, element("h3", {}, "Source folders"), folderBars(cluster)),
    ),
  ];
  if (number >= 0 && cluster.size > LOWEST_CONFIDENCE_SHOWN) {
    const lowest = cluster.members.slice(-LOWEST_CONFIDENCE_SHOWN).reverse();
    parts.push(
      element("h3", {}, "Lowest confidence"),
      tileGrid(lowest, `Lowest confidence in ${fullTitle(number)}`, { strip: true }),
    );
  }
  const heading = `${members ? "Matching" : isSampled(cluster) ? "A sample of" : "All"} ${formatCount(list.length, "image")}`;
  parts.push(...sortedGrid(list, heading, `Images of ${fullTitle(number)}`));
  byId("image-dialog").close();
  dialog.dataset.cluster = number;
  dialog.replaceChildren(...parts);
  retitleClusterDialog();
  showDialog(dialog);
}

function retitleClusterDialog() {
  const dialog = byId("cluster-dialog");
  const number = Number(dialog.dataset.cluster);
  byId("cluster-title").replaceChildren(clusterMarker(number), fullTitle(number));
  if (number < 0) return;
  byId("name").value = plan.nameOf(number);
  byId("name").removeAttribute("aria-invalid");
  dialog.querySelector(".problem").textContent = "";
  byId("merge").replaceChildren(...clusterSelect("merge", "Do not merge", number).options);
  byId("merge").value = plan.merges.has(number) ? plan.mergeTarget(number) : "";
  if (byId("split")) byId("split").value = plan.splits.get(number) ?? "";
}

plan.listeners.push(() => byId("cluster-dialog").open && retitleClusterDialog());
