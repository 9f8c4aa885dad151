"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const plot = document.getElementById("plot"), tip = document.getElementById("tip");
  const picked = document.getElementById("picked"), keys = document.getElementById("keys");
  const STATES = ["normal", "soft", "hard", "critical"];
  const LANES = [["victim", "ended"], ["pause", "paused"], ["shrink", "taken"], ["grow", "given back"], ["planned", "planned only"]];
  const LEFT = 84, RIGHT = 18, GAP = 30, LANE = 17;
  const HEIGHTS = {headroom: 190, stalls: 80, guests: 190};
  const t = data.t, last = t.length - 1;
  let from = t[0], to = Math.max(t[last], t[0] + 1000), current = null;

  const color = layer => layer === data.layers.length - 1 && data.has_rest ? "#8a939c" : `hsl(${(layer * 137.5 + 205) % 360} 48% 56%)`;
  const mib = n => n >= 10240 ? `${(n / 1024).toFixed(1)} GiB` : n >= 1024 ? `${(n / 1024).toFixed(2)} GiB` : `${n} MiB`;
  const two = n => String(n).padStart(2, "0");
  const clock = ms => {
    const d = new Date(data.t0 + ms + data.offset * 1000);
    const day = to - from > 72e6 ? `${two(d.getUTCMonth() + 1)}-${two(d.getUTCDate())} ` : "";
    return `${day}${two(d.getUTCHours())}:${two(d.getUTCMinutes())}:${two(d.getUTCSeconds())}`;
  };
  const node = (name, attributes, parent, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const key in attributes) element.setAttribute(key, attributes[key]);
    if (text !== undefined) element.textContent = text;
    if (parent) parent.append(element);
    return element;
  };
  const line = (text, parent, className) => {
    const p = document.createElement("p");
    p.textContent = text;
    p.className = className || "";
    parent.append(p);
    return p;
  };
  const nearest = ms => {
    let low = 0, high = last;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (t[middle] <= ms) low = middle; else high = middle;
    }
    return ms - t[low] < t[high] - ms ? low : high;
  };
  // The points to draw: those in sight, and one on either side.
  const sight = () => {
    const first = Math.max(0, t.findIndex(ms => ms >= from) - 1);
    const beyond = t.findIndex(ms => ms > to);
    return [first < 0 ? 0 : first, beyond < 0 ? last : beyond];
  };
  let width, x, svg, cross, pick;

  const title = (text, y) => node("text", {x: LEFT, y: y - 8, class: "title"}, svg, text);
  const scale = (y, height, most, label) => {
    for (let k = 0; k <= 2; k++) {
      const at = y + height - height * k / 2;
      node("line", {x1: LEFT, x2: width - RIGHT, y1: at, y2: at, class: "grid"}, svg);
      node("text", {x: LEFT - 7, y: at + 4, "text-anchor": "end"}, svg, label(most * k / 2));
    }
    return n => y + height - height * Math.min(n, most) / most;
  };
  const curve = (values, place, className) => {
    const [a, b] = sight();
    let path = "";
    for (let i = a; i <= b; i++) path += `${i === a ? "M" : "L"}${x(t[i]).toFixed(1)} ${place(values[i]).toFixed(1)}`;
    node("path", {d: path, class: className, "clip-path": "url(#inside)"}, svg);
  };
  const headroom = y => {
    const height = HEIGHTS.headroom, levels = [data.soft, data.hard, data.critical];
    const [a, b] = sight();
    let top = Math.max(1, levels[0] * 1.6);
    for (let i = a; i <= b; i++) top = Math.max(top, Math.min(data.available[i], levels[0] * 4));
    title(`Available memory of the host${data.swap ? " (dashed: swap in use)" : ""}`, y);
    const place = scale(y, height, top, n => mib(Math.round(n)));
    for (let i = a; i < b; i++) {
      if (data.state[i] > 0) {
        node("rect", {x: x(t[i]), y, width: Math.max(1, x(t[i + 1]) - x(t[i])), height, "clip-path": "url(#inside)",
                      class: `band band${data.state[i]}`}, svg);
      }
    }
    levels.forEach((level, k) => {
      if (level > 0 && level < top) {
        node("line", {x1: LEFT, x2: width - RIGHT, y1: place(level), y2: place(level), class: `level mark${k + 1}`}, svg);
        node("text", {x: width - RIGHT - 4, y: place(level) - 4, "text-anchor": "end"}, svg, STATES[k + 1]);
      }
    });
    if (data.swap) curve(data.swap, place, "line swap");
    curve(data.available, place, "line");
  };
  const stalls = y => {
    const [a, b] = sight();
    let top = 500;
    for (let i = a; i <= b; i++) top = Math.max(top, data.some[i]);
    title("Stalls for memory, share of the last 10 s: some (yellow), all tasks (red)", y);
    const place = scale(y, HEIGHTS.stalls, top, n => `${(n / 100).toFixed(n < 1000 ? 1 : 0)} %`);
    curve(data.some, place, "line some");
    curve(data.full, place, "line full");
  };
  const guests = y => {
    const height = HEIGHTS.guests, [a, b] = sight();
    const below = new Array(b - a + 1).fill(0);
    let top = 1;
    for (let i = a; i <= b; i++) top = Math.max(top, data.layers.reduce((sum, layer) => sum + layer.mib[i], 0));
    title("Guests' memory in the host, stacked", y);
    const place = scale(y, height, top * 1.05, n => mib(Math.round(n)));
    data.layers.forEach((layer, k) => {
      let up = "", down = "";
      for (let i = a; i <= b; i++) {
        const at = x(t[i]).toFixed(1);
        down = `L${at} ${place(below[i - a]).toFixed(1)}${down}`;
        below[i - a] += layer.mib[i];
        up += `${i === a ? "M" : "L"}${at} ${place(below[i - a]).toFixed(1)}`;
      }
      node("path", {d: `${up}${down}Z`, fill: color(k), class: "layer", "clip-path": "url(#inside)"}, svg);
    });
  };
  const show = decision => {
    current = decision;
    for (const element of document.querySelectorAll("details.current")) element.classList.remove("current");
    const details = document.getElementById(decision.id);
    picked.replaceChildren();
    picked.hidden = false;
    line(details.querySelector("summary").textContent, picked, "chosen");
    for (const part of details.children) if (part.tagName !== "SUMMARY") picked.append(part.cloneNode(true));
    const link = document.createElement("a");
    link.href = `#${decision.id}`;
    link.textContent = "in the list below";
    link.addEventListener("click", () => { details.open = true; });
    picked.append(link);
    details.classList.add("current");
  };
  const decisions = y => {
    title("Decisions: click for candidates and terms, arrow keys for the next", y);
    LANES.forEach(([, label], lane) => {
      const at = y + lane * LANE + LANE / 2;
      node("text", {x: LEFT - 7, y: at + 4, "text-anchor": "end"}, svg, label);
      node("line", {x1: LEFT, x2: width - RIGHT, y1: at, y2: at, class: "grid"}, svg);
    });
    data.decisions.forEach((decision, index) => {
      if (decision.t < from || decision.t > to) return;
      const lane = LANES.findIndex(([kind]) => kind === decision.kind);
      const mark = node("rect", {x: x(decision.t) - 3, y: y + lane * LANE + 2, width: 6, height: LANE - 4, rx: 2, tabindex: 0,
                                 role: "button", class: `decision ${decision.kind}`, "data-index": index,
                                 "aria-label": `${clock(decision.t)} ${decision.label}`}, svg);
      mark.addEventListener("click", () => show(decision));
      mark.addEventListener("focus", () => show(decision));
      mark.addEventListener("pointerenter", event => hover(event, decision));
    });
    return y + LANES.length * LANE;
  };
  const axis = y => {
    const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400, 604800].map(s => s * 1000);
    const step = steps.find(ms => (to - from) / ms <= Math.max(2, width / 140)) || 2592e6;
    const shift = (data.t0 + data.offset * 1000) % step;
    for (let ms = Math.ceil((from + shift) / step) * step - shift; ms <= to; ms += step) {
      node("line", {x1: x(ms), x2: x(ms), y1: y, y2: y + 5, class: "grid"}, svg);
      node("text", {x: x(ms), y: y + 17, "text-anchor": "middle"}, svg, clock(ms));
    }
  };
  const draw = () => {
    width = Math.max(480, plot.clientWidth);
    x = ms => LEFT + (ms - from) / (to - from) * (width - LEFT - RIGHT);
    const panels = [["headroom", headroom]];
    if (data.has_stalls) panels.push(["stalls", stalls]);
    if (data.layers.length) panels.push(["guests", guests]);
    const height = panels.reduce((sum, [name]) => sum + HEIGHTS[name] + GAP, 0) + GAP + LANES.length * LANE + 26;
    if (svg) svg.remove();
    svg = node("svg", {width, height, role: "img", "aria-label": "Timeline; the tables below say the same"});
    const clip = node("clipPath", {id: "inside"}, node("defs", {}, svg));
    node("rect", {x: LEFT, y: 0, width: width - LEFT - RIGHT, height}, clip);
    let y = GAP;
    for (const [name, panel] of panels) {
      panel(y);
      y += HEIGHTS[name] + GAP;
    }
    cross = node("line", {y1: GAP, y2: y - GAP, class: "cross", visibility: "hidden"}, svg);
    pick = node("rect", {y: GAP, height: y - GAP, class: "pick", width: 0}, svg);
    axis(decisions(y));
    plot.prepend(svg);
  };
  const place = event => {
    const box = plot.getBoundingClientRect(), wide = tip.offsetWidth;
    const left = event.clientX - box.left;
    tip.style.left = `${left + wide + 24 > box.width ? Math.max(0, left - wide - 14) : left + 14}px`;
    tip.style.top = `${event.clientY - box.top + 14}px`;
  };
  const hover = (event, decision) => {
    const ms = from + (event.clientX - plot.getBoundingClientRect().left - LEFT) / (width - LEFT - RIGHT) * (to - from);
    const i = nearest(Math.min(to, Math.max(from, ms)));
    tip.replaceChildren();
    tip.hidden = false;
    if (decision) {
      line(`${clock(decision.t)} ${decision.label}`, tip, "chosen");
      const rows = document.getElementById(decision.id).querySelectorAll(".candidates tbody tr");
      [...rows].slice(0, 6).forEach(row => line([...row.cells].slice(0, 3).map(cell => cell.textContent.trim()).join(" \u00b7 "), tip, "dim"));
    } else {
      line(clock(t[i]), tip, "chosen");
      line(`${mib(data.available[i])} available, ${STATES[data.state[i]]}`, tip);
      if (data.has_stalls) line(`stalls ${data.some[i] / 100} % some, ${data.full[i] / 100} % full`, tip);
      if (data.swap) line(`${mib(data.swap[i])} of swap in use`, tip);
      data.layers.map((layer, k) => [layer.mib[i], layer.name, k]).sort((p, q) => q[0] - p[0]).slice(0, 6)
        .filter(([size]) => size > 0).forEach(([size, name]) => line(`${name}: ${mib(size)}`, tip, "dim"));
      cross.setAttribute("x1", x(t[i]));
      cross.setAttribute("x2", x(t[i]));
      cross.setAttribute("visibility", "visible");
    }
    place(event);
  };
  let began = null;
  plot.addEventListener("pointerdown", event => { began = event.target.closest(".decision") ? null : event.clientX; });
  plot.addEventListener("pointermove", event => {
    if (event.target.closest && event.target.closest(".decision")) return;
    hover(event);
    if (began !== null) {
      const left = plot.getBoundingClientRect().left;
      pick.setAttribute("x", Math.min(began, event.clientX) - left);
      pick.setAttribute("width", Math.abs(event.clientX - began));
    }
  });
  window.addEventListener("pointerup", event => {
    if (began === null) return;
    const left = plot.getBoundingClientRect().left, scale = (to - from) / (width - LEFT - RIGHT);
    const ends = [began, event.clientX].map(at => from + (at - left - LEFT) * scale).sort((p, q) => p - q);
    const far = Math.abs(event.clientX - began) > 8;
    began = null;
    pick.setAttribute("width", 0);
    if (far && ends[1] - ends[0] >= 1000) zoom(ends[0], ends[1]);
  });
  plot.addEventListener("pointerleave", () => { tip.hidden = true; cross.setAttribute("visibility", "hidden"); });
  plot.addEventListener("keydown", event => {
    const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
    const marks = [...plot.querySelectorAll(".decision")];
    const next = step && marks[marks.indexOf(document.activeElement) + step];
    if (event.key === "Enter" && current) show(current);
    if (next) next.focus();
  });
  const zoom = (a, b) => {
    from = Math.max(t[0], a);
    to = Math.min(Math.max(t[last], t[0] + 1000), b);
    if (to - from < 1000) to = from + 1000;
    draw();
  };
  const bar = document.getElementById("bar");
  const button = (label, act) => {
    const element = document.createElement("button");
    element.textContent = label;
    element.addEventListener("click", act);
    bar.append(element);
  };
  button("Whole time", () => zoom(t[0], Infinity));
  data.incidents.slice(0, 12).forEach(([a, b], index) => {
    const margin = Math.max(5000, (b - a) * 0.15);
    button(`Incident ${index + 1}`, () => zoom(a - margin, b + margin));
  });
  button("Light / dark", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
  line("Drag over the chart to look closer.", bar, "dim");
  data.layers.forEach((layer, k) => {
    const key = document.createElement("span"), swatch = document.createElement("i");
    swatch.style.background = color(k);
    key.append(swatch, layer.name);
    keys.append(key);
  });
  document.getElementById("charts").hidden = false;
  if (data.incidents.length === 1) {
    const [a, b] = data.incidents[0];
    const margin = Math.max(10000, (b - a) * 0.3);
    zoom(a - margin, b + margin);
  } else {
    draw();
  }
  window.addEventListener("resize", draw);
  // A link to a decision opens it, in the chart's panel and in the list.
  const follow = () => {
    const decision = data.decisions.find(one => `#${one.id}` === location.hash);
    if (decision) {
      document.getElementById(decision.id).open = true;
      show(decision);
    }
  };
  window.addEventListener("hashchange", follow);
  follow();
  root.dataset.ready = "yes";
})();
