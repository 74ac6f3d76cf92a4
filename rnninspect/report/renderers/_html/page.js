// The page: a map a track, the filter, the theme, and the row that is open. The address holds all three, as in
// #t0-r5&rows=bad&theme=dark, so that a copied address shows the same.

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

// What the address says: the open row (`t0-r5`, or nothing), the filter and the theme where they were chosen.
function addressed() {
  const [row, ...options] = location.hash.slice(1).split("&");
  const chosen = Object.fromEntries((row.includes("=") ? [row, ...options] : options).map((part) => part.split("=").map(decodeURIComponent)));
  return { row: row.includes("=") ? "" : row, rows: chosen.rows, theme: chosen.theme };
}

function addressOf({ row, rows, theme }) {
  const options = [["rows", rows], ["theme", theme]].filter(([, value]) => value);
  const parts = [...(row ? [row] : []), ...options.map(([name, value]) => `${name}=${encodeURIComponent(value)}`)];
  return parts.length ? `#${parts.join("&")}` : location.pathname + location.search;
}

const remember = (change) => history.replaceState(null, "", addressOf({ ...addressed(), ...change }));

// Opens a row by the page's address, so that going back closes it again.
function go(number, row) {
  const address = addressOf({ ...addressed(), row: `t${number}-r${row}` });
  if (location.hash === address) openAddressed();
  else location.hash = address;
}

function openAddressed() {
  const { row: name, rows, theme: wanted } = addressed();
  if (wanted && wanted !== theme.value) chooseTheme(wanted);
  if (rows && rows !== filter.value && [...filter.options].some((option) => option.value === rows)) choose(rows);
  const parts = /^t(\d+)-r(\d+)$/.exec(name);
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
    remember({ row: "" });
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
  for (const { track, steps, map, place, section } of tracks) {
    steps.show(track.rows.map((_, row) => row).filter((row) => keep(track.rows[row])));
    shown += steps.rows;
    map.host.hidden = !steps.rows;
    section.classList.toggle("empty", !steps.rows);
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
  filter.addEventListener("change", () => chooseAndRemember(filter.value));
}

function chooseAndRemember(name) {
  choose(name);
  remember({ row: "", rows: name });
}

// The page opens on the rows that are wrong, else on those that findings name, else on all.
function firstFilter() {
  const rows = data.tracks.flatMap((track) => track.rows);
  return ["bad", "found"].find((name) => rows.some(FILTERS[name])) || "all";
}

function drawLegend() {
  const legend = document.getElementById("legend");
  const levels = data.tracks.some((track) => track.levels);
  const real = levels ? "real step, darker or brighter the larger its largest output" : "real step";
  const entries = [[real, null, "real"], ["padding", null, "padding"], ["padding that is not zero", null, "filled"],
    ["equals the final state h", "=", "real"], ["equals h at the wrong step", "✗", "real"], ["should equal h", "→", "real"],
    ["near h", "≈", "real"], ["nearest to h", "?", "real"], ["real, all zero", "○", "paper"], ["not finite", "!", "paper"]];
  if (data.tracks.some((track) => track.rows.some((row) => row.padding === "absent"))) entries.push(["outputs not recorded", null, "absent"]);
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
    if (kind === "padding" || kind === "filled" || kind === "absent") {
      ctx.fillStyle = hatching(ctx, kind === "absent");
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
function chooseTheme(name) {
  theme.value = name;
  document.documentElement.dataset.theme = theme.value;
  recolour();
}
theme.addEventListener("change", () => {
  chooseTheme(theme.value);
  remember({ theme: theme.value });
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
window.addEventListener("hashchange", openAddressed);
for (const only of document.querySelectorAll(".only")) {
  only.hidden = false;
  only.addEventListener("click", () => {
    chooseAndRemember(`rule:${only.dataset.rule}`);
    document.getElementById("maps").scrollIntoView();
    filter.focus({ preventScroll: true });
  });
}
// What stands before a copy button goes to the clipboard; where there is none, it is selected.
for (const copy of document.querySelectorAll(".copy")) {
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    const text = copy.closest(".copied").querySelector("code");
    try {
      await navigator.clipboard.writeText(text.textContent);
      copy.textContent = "copied";
    } catch {
      getSelection().selectAllChildren(text);
      copy.textContent = "selected";
    }
    setTimeout(() => { copy.textContent = "copy"; }, 1500);
  });
}
theme.parentElement.hidden = false;
recolour();
if (tracks.length) {
  for (const hidden of document.querySelectorAll(".tools, .legend")) hidden.hidden = false;
  fillFilter();
  choose(firstFilter());
  openAddressed();
}
document.documentElement.dataset.ready = "yes";
