// Cards: all about one image, and all about one cluster, as dialogs that Escape closes.

const LEAST_TYPICAL = 12;

function definition(rows) {
  const list = element("dl", { class: "facts" });
  for (const [name, value] of rows)
    if (value !== null && value !== "")
      list.append(element("div", {}, element("dt", {}, name), element("dd", {}, value)));
  return list;
}

function clusterLink(number, after = "") {
  return element(
    "button",
    { type: "button", class: "link", onclick: () => openCluster(number) },
    chip(number),
    `${title(number)}${after}`,
  );
}

// One image, with the list it was opened from to leaf through; focus returns to `opener`.
function openImage(index, list = [index], opener = null) {
  const dialog = byId("image-card");
  let at = Math.max(0, list.indexOf(index));
  const show = () => {
    index = list[at];
    const number = images.cluster[index];
    const cluster = clusters.get(number);
    const link = images.link(index);
    const small = picture(index);
    const original = element("img", { class: "original", alt: `The image ${images.names[index]}`, src: link });
    const frame = element(
      "a",
      { class: "frame", href: link, target: "_blank", rel: "noopener", "aria-label": "Open the original" },
      small,
    );
    original.addEventListener("load", () => small.replaceWith(original));
    original.addEventListener("error", () => note.removeAttribute("hidden"));
    const note = element(
      "p",
      { class: "soft", hidden: true },
      "The original is not beside this page; this is the small picture inside it.",
    );
    const runner = images.runnerUp === null ? -1 : images.runnerUp[index];
    const target = plan.misplaced.get(index);
    const choice = clusterChoice("Where this image belongs", "It is right here", number, target);
    choice.id = "misplaced";
    choice.addEventListener("change", () => plan.misplace(index, choice.value === "" ? null : Number(choice.value)));
    const map = byId("map").dataset.state === "ready";
    dialog.replaceChildren(
      closing(dialog, element("h2", { id: "image-title", class: "path" }, images.names[index])),
      element(
        "div",
        { class: "image-body" },
        element("div", {}, frame, note),
        element(
          "div",
          {},
          definition([
            ["Cluster", clusterLink(number)],
            ["Confidence", number < 0 ? null : rounded(images.confidence[index])],
            ["Next best", runner < 0 || !clusters.has(runner) ? null : clusterLink(runner)],
            [
              "Distance to the most typical",
              Number.isFinite(images.distance[index]) ? rounded(images.distance[index]) : null,
            ],
            [
              "Place in the cluster",
              number < 0
                ? null
                : `${whole(cluster.members.indexOf(index) + 1)} of ${whole(cluster.size)}, by confidence`,
            ],
            ["Path", element("span", { class: "path" }, images.path(index))],
          ]),
          element("p", { class: "field" }, element("label", { for: "misplaced" }, "Does it belong elsewhere?"), choice),
          element(
            "p",
            { class: "row" },
            element(
              "button",
              { type: "button", id: "image-before", disabled: at === 0, onclick: () => leaf(-1) },
              "← Before",
            ),
            element(
              "button",
              { type: "button", id: "image-after", disabled: at === list.length - 1, onclick: () => leaf(1) },
              "Next →",
            ),
            map
              ? element(
                  "button",
                  {
                    type: "button",
                    onclick: () => {
                      closeAll();
                      showOnMap(index);
                    },
                  },
                  "Show on the map",
                )
              : null,
          ),
          element("p", { class: "soft" }, `${whole(at + 1)} of ${whole(list.length)}; the arrow keys leaf through.`),
        ),
      ),
    );
  };
  const leaf = (by) => {
    const to = at + by;
    if (to < 0 || to >= list.length) return;
    const focused = document.activeElement?.id;
    at = to;
    show();
    const again = focused && byId(focused);
    (again && !again.disabled ? again : dialog.querySelector(".close")).focus();
  };
  dialog.onkeydown = (event) => {
    if (event.target.matches("select, input")) return;
    if (event.key === "ArrowLeft") leaf(-1);
    else if (event.key === "ArrowRight") leaf(1);
    else return;
    event.preventDefault();
  };
  dialog.onclose = () => opener?.isConnected && opener.focus();
  show();
  if (!dialog.open) dialog.showModal();
}

function sourcesOf(cluster) {
  const counts = new Map();
  for (const index of cluster.members) counts.set(images.folder[index], (counts.get(images.folder[index]) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
}

function sourceBars(cluster) {
  const sources = sourcesOf(cluster);
  const shown = sources.slice(0, 8);
  const list = element("ol", { class: "shares" });
  for (const [folder, count] of shown) {
    const share = count / cluster.size;
    list.append(
      element(
        "li",
        { style: { "--share": `${share * 100}%`, "--colour": cluster.colour } },
        element("span", { class: "path" }, images.folders[folder][0] || "the folder itself"),
        element("b", {}, `${percent(share)}`),
      ),
    );
  }
  if (sources.length > shown.length)
    list.append(element("li", { class: "rest" }, `and ${counted(sources.length - shown.length, "more folder")}`));
  return list;
}

let settleTitle = null;
plan.watchers.push(() => byId("cluster-card").open && settleTitle());

// One cluster: what is known of it, its name, where it could go, and all its members.
function openCluster(number, members = null) {
  const dialog = byId("cluster-card");
  const cluster = clusters.get(number);
  const list = members ?? cluster.members;
  const head = element("h2", { id: "cluster-title" });
  const settle = () => head.replaceChildren(chip(number), fullTitle(number));
  settle();
  const parts = [closing(dialog, head)];
  const decisions = element("div", { class: "decide" });
  if (number >= 0) {
    const input = element("input", {
      id: "name",
      type: "text",
      maxlength: "80",
      autocomplete: "off",
      value: plan.nameOf(number),
      placeholder: "no name yet",
    });
    const problem = element("p", { class: "problem", role: "alert" });
    input.addEventListener("change", () => {
      const objection = plan.objection(number, input.value);
      problem.textContent = objection;
      input.setAttribute("aria-invalid", objection !== "");
      if (!objection) plan.rename(number, input.value);
    });
    const choice = clusterChoice("Merge this cluster into", "It stays a cluster", number, plan.merges.get(number));
    choice.id = "merge";
    choice.addEventListener("change", () => plan.merge(number, choice.value === "" ? null : Number(choice.value)));
    decisions.append(
      element("p", { class: "field" }, element("label", { for: "name" }, "Name"), input),
      element("p", { class: "field" }, element("label", { for: "merge" }, "Merge into"), choice),
      problem,
    );
  } else
    decisions.append(
      element("p", { class: "soft" }, "Images that are like no group of others. Open one to say where it belongs."),
    );
  const known = definition([
    ["Size", `${counted(cluster.size, "image")}, ${percent(cluster.size / images.count)}`],
    ["Mean confidence", number < 0 ? null : rounded(cluster.confidence)],
    ["Silhouette", number < 0 ? null : cluster.silhouette === null ? "not defined" : rounded(cluster.silhouette)],
    ["Stability", cluster.stability === null ? null : rounded(cluster.stability)],
    ["Mean distance to the most typical", cluster.meanDistance === null ? null : rounded(cluster.meanDistance)],
    [
      "Nearest clusters",
      cluster.nearest.length
        ? element(
            "span",
            { class: "links" },
            ...cluster.nearest.map(([other, distance]) => clusterLink(other, ` (${rounded(distance)})`)),
          )
        : null,
    ],
  ]);
  parts.push(
    element(
      "div",
      { class: "cluster-body" },
      element("div", {}, decisions, known),
      element("div", {}, element("h3", {}, "Source folders"), sourceBars(cluster)),
    ),
  );
  if (number >= 0 && cluster.size > LEAST_TYPICAL) {
    const doubtful = cluster.members.slice(-LEAST_TYPICAL).reverse();
    parts.push(
      element("h3", {}, "Least typical"),
      tileGrid(doubtful, `The least typical of ${fullTitle(number)}`, { strip: true }),
    );
  }
  const all = list.length === cluster.size ? "All" : "Found";
  parts.push(
    element("h3", {}, `${all} ${counted(list.length, "image")}${number < 0 ? "" : ", the surest first"}`),
    tileGrid(list, `Members of ${fullTitle(number)}`),
  );
  byId("image-card").close();
  dialog.replaceChildren(...parts);
  settleTitle = settle;
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
}

function closeAll() {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
}
