// The page: a map a track, the filter, the theme, and the row that is open.

const data = JSON.parse(document.getElementById("data").textContent);
const tracks = data.tracks.map((track, number) => drawTrack(track, number));
const FILTERS = { all: () => true, found: (row) => row.rules.length > 0, bad: (row) => row.standing === "bad" };
const filter = document.getElementById("filter");

function button(label, name, act) {
  const made = element("button", { type: "button", "aria-label": name, title: name }, label);
  made.addEventListener("click", act);
  return made;
}

function drawTrack(track, number) {
  const section = document.getElementById(`t${number}`);
  const steps = new Steps(track, data.steps, data.digits);
  const map = new HeatMap(steps, `${track.name}: rows down, steps across; Enter opens a row`, (i) => go(number, steps.listed[i]));
  const place = element("div", { class: "opened" });
  const bar = element("div", { class: "bar" },
    button("−", "smaller cells", () => map.zoom(1 / 1.5)), button("+", "larger cells", () => map.zoom(1.5)),
    button("fit", "cells of the first size", () => map.fit()), button("whole", "the whole map in the window", () => map.fit(true)),
    element("span", {}, "rows down, steps across; a click or Enter opens a row"));
  section.querySelector(".drawn").append(bar, map.host, place);
  return { track, steps, map, place, section };
}

// Opens a row by the page's address, so that going back closes it again.
function go(number, row) {
  const address = `#t${number}-r${row}`;
  if (location.hash === address) openAddressed();
  else location.hash = address;
}

function openAddressed() {
  const parts = /^#t(\d+)-r(\d+)$/.exec(location.hash);
  for (const { place } of tracks) place.replaceChildren();
  const chosen = parts && tracks[Number(parts[1])];
  const row = parts && Number(parts[2]);
  if (!chosen || !chosen.track.rows[row]) return;
  if (!chosen.steps.listed.includes(row)) choose("all");
  const { map, steps } = chosen;
  map.i = steps.listed.indexOf(row);
  map.move(0, 0, false);
  openRow(chosen, row);
  chosen.place.scrollIntoView({ block: "nearest" });
}

function openRow({ track, steps, place, map }, number) {
  const row = track.rows[number];
  const kept = track.excerpt[number];
  const name = `${track.name}, row ${number}`;
  const close = button("close", `close ${name}`, () => {
    history.replaceState(null, "", location.pathname + location.search);
    place.replaceChildren();
    map.host.focus();
  });
  const panel = element("section", { class: "row", tabindex: "-1", "aria-label": name },
    element("div", { class: "bar" }, element("h4", {}, name), close), element("p", {}, row.words));
  if (row.rules.length) panel.append(element("p", {}, `named by: ${row.rules.join(", ")}`));
  place.replaceChildren(panel);
  panel.addEventListener("keydown", (event) => event.key === "Escape" && close.click());
  if (kept) {
    const model = new Units(kept, row, steps, data.digits);
    const units = new HeatMap(model, `${name}: units down, steps across, then h and c`);
    const scale = `dark is negative, light positive, up to ${brief(model.largest)}${kept.cell ? ` (c: ${brief(model.largestCell)})` : ""}`;
    panel.append(element("p", { class: "kept" }, `units down; ${model.span(data.steps)} across, then the final state; ${scale}`), units.host);
    units.fit();
    units.host.focus({ preventScroll: true });
  } else {
    panel.append(element("p", { class: "kept" }, "The unit values of this row are not in the page: see above the maps."));
    panel.focus({ preventScroll: true });
  }
  hint.hidden = true;
}

function choose(name) {
  filter.value = name;
  const keep = FILTERS[name] || ((row) => row.rules.includes(name.slice(5)));
  let shown = 0;
  for (const { track, steps, map, place } of tracks) {
    steps.show(track.rows.map((_, row) => row).filter((row) => keep(track.rows[row])));
    shown += steps.rows;
    map.host.hidden = !steps.rows;
    place.replaceChildren();
    map.fit();
  }
  const total = data.tracks.reduce((sum, track) => sum + track.rows.length, 0);
  document.getElementById("shown").textContent = `${shown} of ${total} rows shown`;
}

function fillFilter() {
  const rows = data.tracks.flatMap((track) => track.rows);
  const option = (value, label, count) => filter.append(element("option", { value }, `${label} (${count})`));
  option("all", "all", rows.length);
  option("found", "with findings", rows.filter(FILTERS.found).length);
  option("bad", "not as expected", rows.filter(FILTERS.bad).length);
  for (const rule of data.rules) option(`rule:${rule}`, rule, rows.filter((row) => row.rules.includes(rule)).length);
  filter.addEventListener("change", () => choose(filter.value));
}

function drawLegend() {
  const legend = document.getElementById("legend");
  const levels = data.tracks.some((track) => track.levels);
  const real = levels ? "real step, darker or brighter the larger its largest output" : "real step";
  const entries = [[real, null, "real"], ["padding", null, "padding"], ["padding that is not zero", null, "filled"],
    ["equals the final state h", "=", "real"], ["equals h at the wrong step", "✗", "real"], ["should equal h", "→", "real"],
    ["near h", "≈", "real"], ["nearest to h", "?", "real"], ["real, all zero", "○", "paper"], ["not finite", "!", "paper"]];
  legend.replaceChildren(...entries.map(([words, mark, kind]) => {
    const canvas = element("canvas", { width: 52, height: 44, "aria-hidden": "true" });
    canvas.style.width = "26px";
    const ctx = canvas.getContext("2d");
    ctx.scale(2, 2);
    ctx.fillStyle = css({ real: palette.mid, filled: palette.low }[kind] || palette.paper);
    ctx.fillRect(0, 0, 26, 22);
    if (kind === "real" && !mark && levels) {
      palette.sizes.slice(1).forEach((colour, k) => { ctx.fillStyle = css(colour); ctx.fillRect((k * 26) / SIZES, 0, 3, 22); });
    }
    if (kind === "padding" || kind === "filled") {
      ctx.fillStyle = hatching(ctx);
      ctx.fillRect(0, 0, 26, 22);
    }
    if (mark) drawMark(ctx, mark, 0, 0, 26, 22);
    return element("li", {}, canvas, words);
  }));
}

function recolour() {
  readPalette();
  drawLegend();
  for (const { map } of tracks) map.later();
  for (const canvas of document.querySelectorAll(".row .map")) canvas.dispatchEvent(new Event("scroll"));
}

const theme = document.getElementById("theme");
theme.addEventListener("change", () => {
  document.documentElement.dataset.theme = theme.value;
  recolour();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
window.addEventListener("hashchange", openAddressed);
for (const only of document.querySelectorAll(".only")) {
  only.hidden = false;
  only.addEventListener("click", () => {
    choose(`rule:${only.dataset.rule}`);
    document.getElementById("maps").scrollIntoView();
    filter.focus({ preventScroll: true });
  });
}
theme.parentElement.hidden = false;
recolour();
if (tracks.length) {
  for (const hidden of document.querySelectorAll(".tools, .legend")) hidden.hidden = false;
  fillFilter();
  choose("all");
  openAddressed();
}
document.documentElement.dataset.ready = "yes";
