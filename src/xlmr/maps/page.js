"use strict";
// Texts are put on the page as text, never as markup.

const data = JSON.parse(document.getElementById("data").textContent);
const dots = data.dots.map(([x, y, language, confidence, group, text]) => ({ x, y, language, confidence, group, text }));
const picture = document.getElementById("picture");
const shown = document.getElementById("shown");
const whole = picture.viewBox.baseVal;
const full = { x: whole.x, y: whole.y, width: whole.width, height: whole.height };
const REACH = 14; // pixels about the pointer in which a dot is found
const OTHERS = 8; // translations shown with a text
const base = picture.querySelector("defs path").transform.baseVal.getItem(0).matrix.a;
let view = { ...full };
let alone = null; // the language that is seen alone, or null
let grip = null; // where the picture is held

const groups = new Map();
dots.forEach((dot, i) => {
  if (dot.group === null) return;
  if (!groups.has(dot.group)) groups.set(dot.group, []);
  groups.get(dot.group).push(i);
});

const joined = document.createElementNS("http://www.w3.org/2000/svg", "path");
joined.setAttribute("class", "joined");
picture.querySelector(".picture").prepend(joined);

function at(event) {
  return new DOMPoint(event.clientX, event.clientY).matrixTransform(picture.getScreenCTM().inverse());
}

function nearest(point, reach) {
  let best = -1;
  let least = reach * reach;
  dots.forEach((dot, i) => {
    if (alone !== null && dot.language !== alone) return;
    const far = (dot.x - point.x) ** 2 + (dot.y - point.y) ** 2;
    if (far <= least) [best, least] = [i, far];
  });
  return best;
}

function line(kind, code, text) {
  const paragraph = document.createElement("p");
  paragraph.className = kind;
  const before = document.createElement("bdi");
  before.textContent = code;
  const words = document.createElement("bdi");
  words.dir = "auto";
  words.textContent = text;
  paragraph.append(before, " ", words);
  return paragraph;
}

function show(i, event) {
  if (i < 0) {
    shown.hidden = true;
    joined.setAttribute("d", "");
    return;
  }
  const dot = dots[i];
  const [code, name] = data.languages[dot.language];
  const sure = dot.confidence === null ? "" : `confidence ${dot.confidence.toFixed(2)}`;
  const others = (groups.get(dot.group) ?? []).filter((j) => j !== i);
  shown.replaceChildren(
    line("of", `${code} ${name}`, sure),
    line("text", "", dot.text),
    ...others.slice(0, OTHERS).map((j) => line("translation", data.languages[dots[j].language][0], dots[j].text)),
  );
  if (others.length > OTHERS) shown.append(line("of", `and ${others.length - OTHERS} more`, ""));
  joined.setAttribute("d", others.map((j) => `M${dot.x} ${dot.y}L${dots[j].x} ${dots[j].y}`).join(""));
  shown.hidden = false;
  const { width, height } = shown.getBoundingClientRect();
  const right = event.clientX + 16 + width > innerWidth;
  shown.style.left = `${Math.max(4, right ? event.clientX - 16 - width : event.clientX + 16)}px`;
  shown.style.top = `${Math.max(4, Math.min(event.clientY + 16, innerHeight - height - 4))}px`;
}

function see(next) {
  const far = Math.min(1, Math.max(next.width / full.width, 0.02));
  const width = full.width * far;
  const height = full.height * far;
  view = {
    x: Math.min(Math.max(next.x, full.x), full.x + full.width - width),
    y: Math.min(Math.max(next.y, full.y), full.y + full.height - height),
    width,
    height,
  };
  picture.setAttribute("viewBox", `${view.x} ${view.y} ${width} ${height}`);
  picture.classList.toggle("closer", far < 1);
  const small = Math.min(2.5, Math.max(1, (0.8 * full.width) / picture.clientWidth)); // on a narrow screen
  const size = base * far ** 0.75 * small ** 0.5; // dots grow a little as one comes closer
  for (const path of picture.querySelectorAll("defs path")) path.setAttribute("transform", `scale(${size})`);
  picture.style.setProperty("--far", far ** 0.85 * small);
}

function zoom(by, point) {
  const width = view.width * by;
  const share = width / view.width;
  see({ x: point.x - (point.x - view.x) * share, y: point.y - (point.y - view.y) * share, width });
}

const middle = () => ({ x: view.x + view.width / 2, y: view.y + view.height / 2 });

picture.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoom(Math.exp(event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), at(event));
}, { passive: false });
picture.addEventListener("pointerdown", (event) => {
  const held = event.pointerType === "mouse" || view.width < full.width; // a finger on the whole picture moves the page
  grip = held ? { x: event.clientX, y: event.clientY, view, scale: picture.getScreenCTM().a } : null;
});
addEventListener("pointerup", () => { grip = null; });
picture.addEventListener("pointermove", (event) => {
  if (grip) {
    see({ ...grip.view, x: grip.view.x - (event.clientX - grip.x) / grip.scale, y: grip.view.y - (event.clientY - grip.y) / grip.scale });
    show(-1);
    return;
  }
  show(nearest(at(event), REACH / picture.getScreenCTM().a), event);
});
picture.addEventListener("click", (event) => show(nearest(at(event), REACH / picture.getScreenCTM().a), event));
picture.addEventListener("pointerleave", () => show(-1));
addEventListener("resize", () => see(view));
addEventListener("keydown", (event) => { if (event.key === "Escape") show(-1); });
document.getElementById("closer").addEventListener("click", () => zoom(0.7, middle()));
document.getElementById("farther").addEventListener("click", () => zoom(1 / 0.7, middle()));
document.getElementById("whole").addEventListener("click", () => { see(full); choose(null); });

const entries = [...document.querySelectorAll("nav button")];
const switched = document.getElementById("lines");

function choose(language) {
  alone = language;
  const code = language === null ? null : data.languages[language][0];
  for (const entry of entries) entry.setAttribute("aria-pressed", String(entry.dataset.language === code));
  for (const part of picture.querySelectorAll(".language")) part.classList.toggle("faint", code !== null && part.dataset.language !== code);
  for (const label of picture.querySelectorAll(".labels text")) label.classList.toggle("off", code !== null && label.dataset.language !== code);
  for (const lines of picture.querySelectorAll(".lines")) lines.classList.toggle("off", code !== null || !switched?.checked);
}

entries.forEach((entry) => entry.addEventListener("click", () => {
  const language = data.languages.findIndex(([code]) => code === entry.dataset.language);
  choose(alone === language ? null : language);
}));
switched?.addEventListener("change", () => choose(alone));
see(full);
