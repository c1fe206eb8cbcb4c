// Outliers: unusual images with the reasons, all or those with one reason.

const REASON_WORDS = {
  far: "far from others",
  atypical: "atypical",
  blurred: "blurred",
  dark: "dark",
  bright: "bright",
  "low-contrast": "low contrast",
  "single-color": "one color",
  tiny: "tiny",
};

const OUTLIERS_TEXT =
  "Images far from all others, atypical ones of each cluster, and those of low quality. They stay in their clusters, " +
  "unless you select some and set them aside: their files then move to the folder “duplicates” of the workspace. " +
  "outliers.csv has all images.";

function showOutliers() {
  const found = data.findings.outliers.map(([image, reasons, sharpness]) => ({ image, reasons, sharpness }));
  if (!found.length) return;
  const total = found.length + data.findings.moreOutliers;
  const link = element("a", { href: "#outliers" }, formatCount(total, "unusual image"));
  byId("sentences").append(element("p", { class: "finding" }, link, "."));
  const inWords = (reasons) => reasons.map((reason) => REASON_WORDS[reason] ?? reason).join(", ");
  const badges = new Map(found.map(({ image, reasons }) => [image, inWords(reasons)]));
  const counts = new Map();
  for (const { reasons } of found) for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  const option = (value, words, count) => element("option", { value }, `${words} (${formatInteger(count)})`);
  const select = element("select", { id: "outlier-reason" }, option("", "All reasons", found.length));
  for (const [reason, words] of Object.entries(REASON_WORDS))
    if (counts.has(reason)) select.append(option(reason, words, counts.get(reason)));
  const slot = element("div");
  const fill = () => {
    const shown = found.filter(({ reasons }) => !select.value || reasons.includes(select.value));
    if (select.value === "blurred") shown.sort((a, b) => (a.sharpness ?? 0) - (b.sharpness ?? 0));
    const list = shown.map(({ image }) => image);
    slot.replaceChildren(tileGrid(list, "Unusual images", { badges }));
  };
  select.addEventListener("change", fill);
  fill();
  byId("outliers").append(
    element("h2", { id: "outliers-title" }, "Unusual images"),
    element("p", { class: "soft" }, OUTLIERS_TEXT),
    element("p", { class: "row" }, element("label", {}, "Reason ", select)),
    slot,
  );
  byId("outliers").hidden = false;
}
