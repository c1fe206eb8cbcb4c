// The dialog that explains selecting, the plan and the keys.

const HELP = [
  [
    "Select images",
    [
      ["Click the check of an image, or Ctrl/Cmd + click", "select or deselect it"],
      ["Shift + click", "select all images from the last one"],
      ["Drag among the images of a cluster", "select with a rectangle; Shift or Ctrl/Cmd adds to the selection"],
      ["Shift + drag on the map, or the button ▭", "select with a rectangle on the map"],
      ["Space", "select the focused image, or the one in the frame on the map"],
      ["Shift + arrow keys", "extend the selection"],
      ["Ctrl/Cmd + A", "select all images of a grid"],
      ["Escape", "clear the selection; in a dialog, close it"],
    ],
  ],
  [
    "Change the plan",
    [
      ["M", "go to the list of clusters to move the selected images to"],
      ["N", "make a new cluster of them"],
      ["X", "they do not belong here: into no cluster"],
      ["P", "pin them: they are in the right cluster"],
      ["A", "set them aside: the originals move to the folder “duplicates” of the workspace"],
      ["S", "save the selection as a CSV file"],
      ["Ctrl/Cmd + Z", "undo the last change of the plan"],
    ],
  ],
  [
    "Move around",
    [
      ["Arrow keys, Home, End", "move between images, or move the map"],
      ["Enter", "open an image"],
      ["+, −, 0", "zoom the map, show the whole map"],
      ["Escape", "close a dialog"],
      ["?", "open this help"],
    ],
  ],
];

function openHelp() {
  const dialog = byId("help-dialog");
  const lists = HELP.flatMap(([title, rows]) => [element("h3", {}, title), definitions(rows)]);
  dialog.replaceChildren(
    dialogHead(dialog, element("h2", { id: "help-title" }, "Help")),
    ...lists,
    element(
      "p",
      { class: "soft" },
      planStorage.works
        ? "Changes are kept in this browser until you remove them. Save the plan and apply it to change the folders."
        : "This browser does not keep changes when the page is closed: save the plan before.",
    ),
  );
  if (!dialog.open) dialog.showModal();
}
