// The dialog of one image: the original, its cluster, and a way to move it to another cluster.

// The original, or the thumbnail while it loads and where it cannot be loaded.
function imageFrame(index) {
  const link = images.link(index);
  const preview = thumbnail(index);
  const note = element(
    "p",
    { class: "soft", hidden: true },
    "The original file was not found, or this browser cannot show its format. This is the thumbnail stored in the page.",
  );
  const original = element("img", { class: "original", alt: `The image ${images.names[index]}`, src: link });
  original.addEventListener("load", () => preview.replaceWith(original));
  original.addEventListener("error", () => note.removeAttribute("hidden"));
  const attributes = { class: "frame", href: link, target: "_blank", rel: "noopener", "aria-label": "Open the original" };
  return element("div", {}, element("a", attributes, preview), note);
}

const DECISIONS = {
  corrected: "you moved it here",
  unsorted: "it belongs to no cluster",
  pinned: "pinned: it stays here",
};

function captureTime(index) {
  const seconds = images.captured?.[index] ?? NaN;
  return Number.isNaN(seconds) ? null : new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ");
}

function imageFacts(index) {
  const number = images.cluster[index];
  const second = images.runnerUp === null ? -1 : images.runnerUp[index];
  return definitions([
    ["Cluster", clusterLink(number)],
    ["Confidence", number < 0 ? null : formatNumber(images.confidence[index])],
    ["Second-best cluster", second < 0 || !clusters.has(second) ? null : clusterLink(second)],
    ["Your decision", DECISIONS[images.decisions.get(index)] ?? null],
    ["Captured", captureTime(index)],
    ["Camera", images.camera === null ? null : data.images.cameras[images.camera[index]]],
    ["Set aside", setAside.has(index) ? "in the folder “duplicates”" : null],
    ["Path", element("span", { class: "path" }, images.path(index))],
  ]);
}

// Buttons that lead to the original file.
function originalRow(index) {
  const address = images.address(index);
  const attributes = { id: "image-open", href: address?.href, target: "_blank", rel: "noopener" };
  return element(
    "p",
    { class: "row links-row" },
    copyButton("Copy path", images.fullPath(index), "image-copy"),
    address && element("a", attributes, "Open original"),
  );
}

function imageDetails(index) {
  const cluster = clusters.get(images.cluster[index]);
  const rank = `${formatInteger(cluster.members.indexOf(index) + 1)} of ${formatInteger(cluster.members.length)}`;
  return detailsOf([
    ["Rank by confidence", cluster.number < 0 ? null : rank],
    ["Distance to the medoid", Number.isFinite(images.distance[index]) ? formatNumber(images.distance[index]) : null],
  ]);
}

function moveField(index) {
  const number = images.cluster[index];
  const unchanged = `${fullTitle(number)} (no change)`;
  const target = plan.mergeTarget(plan.misplaced.get(index));
  const select = clusterSelect("misplaced", unchanged, number, target, { created: true });
  select.addEventListener("change", () => plan.move([index], selectedCluster(select)));
  return element("p", { class: "field" }, element("label", { for: "misplaced" }, "Move to"), select);
}

// Buttons for the other decisions about an image; pressing one again takes it back.
function decisionButtons(index) {
  const toggle = (id, part, text, decide, attributes = {}) =>
    element(
      "button",
      { id, type: "button", "aria-pressed": String(part.has(index)), onclick: () => decide(part.has(index)), ...attributes },
      text,
    );
  const decision = (id, part, text, decide) =>
    toggle(id, part, text, (isDecided) => (isDecided ? plan.move([index], null) : decide.call(plan, [index])));
  const hasToStay = !plan.aside.has(index) && !canBeSetAside(index);
  const asideAttributes = {
    title: hasToStay
      ? "The last image of a group of copies has to stay"
      : "Move the original to the folder “duplicates” of the workspace",
    disabled: hasToStay,
  };
  return element(
    "p",
    { class: "row" },
    images.cluster[index] === NOISE
      ? null
      : decision("image-reject", plan.unsorted, "Does not belong here", plan.reject),
    images.decisions.get(index) === "pinned" ? null : decision("image-pin", plan.pinned, "Pin", plan.pin),
    setAside.has(index)
      ? null
      : toggle("image-aside", plan.aside, "Set aside", (isAside) => plan.setAside([index], !isAside), asideAttributes),
  );
}

// Opens the image `index` of `list`; `opener` gets the focus back when the dialog closes.
function openImage(index, list = [index], opener = null) {
  const dialog = byId("image-dialog");
  let at = Math.max(0, list.indexOf(index));
  const show = () => {
    const details = dialog.querySelector("details")?.open;
    fillImageDialog(dialog, list, at, go);
    if (details && dialog.querySelector("details")) dialog.querySelector("details").open = true;
  };
  const go = (steps) => {
    if (at + steps < 0 || at + steps >= list.length) return;
    const focused = document.activeElement?.id;
    at += steps;
    show();
    const same = focused && byId(focused);
    (same && !same.disabled ? same : dialog.querySelector(".close")).focus();
  };
  dialog.onkeydown = (event) => {
    // In the strip of similar images, arrow keys move the focus.
    if (event.defaultPrevented || event.target.matches("select, input")) return;
    if (event.key === "ArrowLeft") go(-1);
    else if (event.key === "ArrowRight") go(1);
    else return;
    event.preventDefault();
  };
  // Browsers restore the focus themselves, unless the opener did not have it: Safari does not focus clicked buttons.
  dialog.onclose = () => document.activeElement === document.body && opener?.isConnected && opener.focus();
  show();
  showDialog(dialog);
}

function fillImageDialog(dialog, list, at, go) {
  const index = list[at];
  const button = (attributes, text) => element("button", { type: "button", ...attributes }, text);
  const onMap = () => {
    closeDialogs();
    showOnMap(index);
  };
  dialog.dataset.image = index;
  dialog.replaceChildren(
    dialogHead(dialog, element("h2", { id: "image-title", class: "path" }, images.names[index])),
    element(
      "div",
      { class: "image-body" },
      imageFrame(index),
      element(
        "div",
        {},
        imageFacts(index),
        originalRow(index),
        element("div", { id: "image-plan" }, moveField(index), decisionButtons(index)),
        element(
          "p",
          { class: "row" },
          button({ id: "image-previous", disabled: at === 0, onclick: () => go(-1) }, "← Previous"),
          button({ id: "image-next", disabled: at === list.length - 1, onclick: () => go(1) }, "Next →"),
          byId("map").dataset.state === "ready" ? button({ onclick: onMap }, "Show on map") : null,
        ),
        element(
          "p",
          { class: "soft" },
          list.length > 1
            ? `Image ${formatInteger(at + 1)} of ${formatInteger(list.length)}. The left and right arrow keys switch images.`
            : null,
        ),
        imageDetails(index),
      ),
    ),
    ...similarStrip(index),
  );
}

function similarStrip(index) {
  const similar = similarImages(index);
  if (!similar.length) return [];
  return [element("h3", {}, "Most similar images"), tileGrid(similar, "Most similar images", { strip: true })];
}

plan.listeners.push(() => {
  const dialog = byId("image-dialog");
  if (!dialog.open) return;
  const index = Number(dialog.dataset.image);
  const focused = document.activeElement?.id;
  byId("image-plan").replaceChildren(moveField(index), decisionButtons(index));
  if (focused) byId(focused)?.focus();
});
