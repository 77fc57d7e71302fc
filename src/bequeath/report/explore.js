// The samples: searched, filtered, sorted; one opened, with its interactions. What is seen stands in the address.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("explored").textContent);
  const root = document.getElementById("explorer");
  const form = root.querySelector("form"), strip = root.querySelector(".strip"), article = root.querySelector("article");
  const status = form.querySelector("[role=status]");
  const SVG = document.querySelector("svg").namespaceURI; // a page that names no address fetches none
  const KEYS = ["find", "class", "verdict", "sort", "sample", "term"];
  const place = new Map(data.samples.map((sample, index) => [sample.id, index]));
  let state = {};

  // One element with attributes and children; texts become text, never markup.
  const make = (tag, attributes = {}, ...children) => {
    const made = tag.startsWith("svg:") ? document.createElementNS(SVG, tag.slice(4)) : document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else if (value !== null && value !== false) made.setAttribute(key, value === true ? "" : value);
    }
    made.append(...children.filter((child) => child !== null));
    return made;
  };
  const number = (x, sign = true) => {
    if (x === null) return "–";
    const size = Math.abs(x), digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.1 || x === 0 ? 2 : 3;
    const text = size.toFixed(digits), zero = Number(text) === 0;
    return (zero ? "" : x < 0 ? "−" : sign ? "+" : "") + text;
  };
  const verdict = (sample) => data.verdicts[sample.verdict];

  // The address: #samples&sample=...&class=..., so that a link opens the same view.
  const read = () => {
    const [head, ...pairs] = location.hash.slice(1).split("&");
    const given = head === "samples" ? new URLSearchParams(pairs.join("&")) : new URLSearchParams();
    return Object.fromEntries(KEYS.map((key) => [key, given.get(key) ?? ""]));
  };
  const write = (push) => {
    const kept = new URLSearchParams(KEYS.filter((key) => state[key]).map((key) => [key, state[key]])).toString();
    const hash = kept ? `#samples&${kept}` : "#samples";
    if (hash !== location.hash) history[push ? "pushState" : "replaceState"](null, "", hash);
  };

  const ORDERS = {
    lost: (sample) => -sample.strength.discarded,
    gained: (sample) => -sample.strength.new,
    forgotten: (sample) => ["forgotten", "learned", "neither", "both", "None"].indexOf(sample.verdict),
    change: (sample) => -Math.abs(sample.full[1] - sample.full[0]),
  };
  const chosen = () => {
    const words = state.find.trim().toLowerCase(), order = ORDERS[state.sort];
    const kept = data.samples.filter((sample) =>
      (!state.class || sample.class === state.class) && (!state.verdict || sample.verdict === state.verdict) &&
      `${sample.id} ${sample.class} ${sample.scene?.words?.join(" ") ?? ""}`.toLowerCase().includes(words));
    return order ? kept.sort((a, b) => order(a) - order(b)) : kept;
  };

  const draw = () => {
    const kept = chosen();
    status.textContent = `${kept.length} of ${data.samples.length}`;
    strip.replaceChildren(...kept.map((sample) => {
      const picture = sample.scene?.picture;
      const button = make("button", {
        type: "button", "data-sample": sample.id, "aria-current": sample.id === state.sample ? "true" : null,
        title: sample.id, "aria-label": `${sample.class}, ${verdict(sample)}, sample ${sample.id}`, onclick: () => open(sample.id, true),
      },
      picture ? make("img", { src: picture, alt: "", loading: "lazy" }) : make("span", { class: "excerpt" },
        sample.scene?.words ? sample.scene.words.slice(0, 8).join(" ") : sample.id),
      make("span", { class: "caption" }, make("i", { class: `mark ${sample.verdict}`, "aria-hidden": "true" }), sample.class));
      return make("li", {}, button);
    }));
    if (!kept.length) strip.append(make("li", { class: "absent" }, "No sample fits."));
  };

  // Where player i lies: a path in the picture's own coordinates.
  const outline = (scene, player, width, height) => {
    const boxes = scene.boxes ?? data.boxes;
    if (boxes) {
      const [x0, y0, x1, y1] = boxes[player];
      return `M${x0 * width} ${y0 * height}H${x1 * width}V${y1 * height}H${x0 * width}Z`;
    }
    const { width: columns, height: rows, runs } = scene.areas, w = width / columns, h = height / rows;
    let path = "", at = 0;
    for (let k = 0; k < runs.length; k += 2) {
      let left = runs[k + 1], start = at;
      at += left;
      if (runs[k] !== player) continue;
      while (left > 0) { // a run may go on in the next row
        const x = start % columns, y = Math.floor(start / columns), length = Math.min(left, columns - x);
        path += `M${x * w} ${y * h}h${length * w}v${h}h${-length * w}z`;
        start += length;
        left -= length;
      }
    }
    return path;
  };
  const players = (scene) => (scene.boxes ?? data.boxes)?.length ?? Math.max(...scene.areas.runs.filter((_, k) => k % 2 === 0)) + 1;
  const named = (scene, player) => scene?.words?.[player] ?? data.names[player] ?? String(player);

  const stage = (sample, touch) => {
    const scene = sample.scene;
    if (!scene) return make("p", { class: "absent" }, "This sample’s interactions are not kept: the page draws the samples that changed most.");
    const parts = [];
    if (scene.picture && (scene.boxes ?? data.boxes ?? scene.areas)) {
      const svg = make("svg:svg", { class: "stage", role: "img", "aria-label": `Picture of sample ${sample.id}, class ${sample.class}` });
      const image = make("svg:image", { href: scene.picture, preserveAspectRatio: "none" });
      const size = new Image();
      svg.append(image);
      size.onload = () => {
        const [width, height] = [300, Math.round((300 * size.naturalHeight) / size.naturalWidth)];
        svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
        image.setAttribute("width", width);
        image.setAttribute("height", height);
        for (let player = 0; player < players(scene); player += 1) {
          svg.append(make("svg:path", {
            class: "player", "data-player": player, d: outline(scene, player, width, height),
            onpointerenter: () => touch(player), onpointerleave: () => touch(null),
          }, make("svg:title", {}, named(scene, player))));
        }
        show();
      };
      size.src = scene.picture;
      parts.push(svg);
    } else if (scene.picture) parts.push(make("img", { class: "stage", src: scene.picture, alt: `Picture of sample ${sample.id}` }));
    if (scene.words) {
      const words = scene.words.map((word, player) => make("span", {
        class: "word", "data-player": player, onpointerenter: () => touch(player), onpointerleave: () => touch(null),
      }, word));
      parts.push(make("p", { class: data.modality === "table" ? "words cells" : "words" }, ...words.flatMap((word) => [word, " "])));
    }
    return make("div", {}, ...parts);
  };

  // Light up an interaction's players; without one, those of the pinned interaction.
  let shown = null, pinned = null;
  const show = (row = shown) => {
    shown = row;
    const active = row ?? pinned, term = active === null ? null : current().terms[active];
    const scene = article.querySelector(".scene");
    if (!scene) return;
    scene.classList.toggle("active", term !== null && term !== undefined);
    scene.classList.toggle("or", term?.[0] === "or");
    if (term) scene.style.setProperty("--mark", `var(--${term[2] ?? "control"})`);
    for (const one of scene.querySelectorAll("[data-player]")) {
      one.classList.toggle("lit", Boolean(term?.[1].includes(Number(one.dataset.player))));
    }
    for (const one of article.querySelectorAll("tr[data-term]")) {
      const is = Number(one.dataset.term);
      one.classList.toggle("on", is === active);
      one.querySelector("button").setAttribute("aria-pressed", String(is === pinned));
    }
  };
  const touch = (player) => {
    for (const row of article.querySelectorAll("tr[data-term]")) {
      row.classList.toggle("with", player !== null && current().terms[Number(row.dataset.term)][1].includes(player));
    }
  };
  const pin = (row) => {
    pinned = pinned === row ? null : row;
    state.term = pinned === null ? "" : String(pinned);
    write(false);
    show(null);
  };

  const current = () => data.samples[place.get(state.sample)];
  const bar = (effect, largest, colour) => {
    const width = largest ? 50 * Math.min(Math.abs(effect) / largest, 1) : 0;
    return make("span", { class: "bar" }, make("i", { style: `left:${effect < 0 ? 50 - width : 50}%;width:${width}%;background:var(--${colour})` }));
  };
  const table = (sample) => {
    const largest = Math.max(...sample.terms.flatMap((term) => term[3].map((x) => Math.abs(x ?? 0))), 0);
    const rows = sample.terms.map(([type, members, part, effects], row) => {
      const name = `${type.toUpperCase()} ${members.map((player) => named(sample.scene, player)).join(", ")}`;
      return make("tr", { "data-term": row, onpointerenter: () => show(row), onpointerleave: () => show(null) },
        make("th", { scope: "row" }, make("button", {
          type: "button", "aria-pressed": "false", onclick: () => pin(row), onfocus: () => show(row), onblur: () => show(null),
        }, name)),
        ...effects.map((effect, k) => make("td", { "data-label": data.models[k].short }, bar(effect ?? 0, largest, data.models[k].colour), make("span", { class: "num" }, number(effect)))),
        make("td", { class: "what" }, make("span", { class: "dot", style: `background:var(--${part ?? "control"})` }), part ?? "control only"));
    });
    return make("table", { class: data.models.length > 2 ? "terms three" : "terms" },
      make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "interaction"),
        ...data.models.map((model) => make("th", { scope: "col", title: model.name }, make("span", { class: "dot", style: `background:var(--${model.colour})` }), model.short)),
        make("th", { scope: "col" }, "mostly"))),
      make("tbody", {}, ...rows));
  };
  const changed = (sample) => {
    const c = sample.change;
    if (!c) return null;
    const [before, after] = data.models;
    let text = `The output of ${after.name} less that of ${before.name} is ${number(c.total)}: lost ${number(c.lost)}, came ${number(c.came)}, turned ${number(c.turned)}, all else ${number(c.rest)}.`;
    if (c.hidden) {
      const names = c.hidden.players.map((player) => named(sample.scene, player)).join(", ");
      text += ` With ${names} hidden, it is ${number(c.hidden.measured)} (the readings say ${number(c.hidden.said)}`;
      text += c.hidden.random === null ? ")." : `; with as many others hidden, ${number(c.hidden.random)}).`;
    }
    return make("p", { class: "differs" }, text);
  };

  const show_sample = (focus) => {
    const sample = current();
    shown = null;
    pinned = state.term !== "" && sample?.terms[Number(state.term)] ? Number(state.term) : null;
    for (const button of strip.querySelectorAll("button")) {
      if (button.dataset.sample === state.sample) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
    if (!sample) {
      article.replaceChildren(make("p", { class: "absent" }, state.sample ? `There is no sample ${state.sample} here.` : "Choose a sample."));
      return;
    }
    const outputs = data.models.map((model, k) => make("dd", {}, make("span", {}, make("span", { class: "dot", style: `background:var(--${model.colour})` }), model.name), make("span", { class: "num" }, number(sample.full[k]))));
    const step = (by, words) => make("button", { type: "button", class: "step", onclick: () => next(by) }, words);
    article.replaceChildren(
      make("header", {}, make("h3", {}, `${sample.class}, ${verdict(sample)}`), make("span", { class: "steps" }, step(-1, "← previous"), step(1, "next →")),
        make("p", { class: "quiet" }, `sample ${sample.id}`)),
      changed(sample) ?? "",
      make("div", { class: "opened" },
        make("div", { class: "scene" }, stage(sample, touch), make("dl", { class: "outputs" }, make("dt", {}, "output v(N)"), ...outputs)),
        sample.terms.length ? make("div", { class: "scroll" }, table(sample)) : make("p", { class: "absent" }, "No interactions.")));
    show(null);
    if (focus) article.focus({ preventScroll: true });
  };
  const open = (id, focus) => {
    state.sample = id;
    state.term = "";
    write(true);
    show_sample(focus);
  };
  const next = (by) => {
    const ids = chosen().map((sample) => sample.id), at = ids.indexOf(state.sample);
    if (ids.length) open(ids[(at + by + ids.length) % ids.length], true);
  };

  const choices = (select, all, pairs) => select.append(new Option(all, ""), ...pairs.map(([value, words]) => new Option(words, value)));
  choices(form.elements.class, "all classes", [...new Set(data.samples.map((sample) => sample.class))].sort().map((name) => [name, name]));
  choices(form.elements.verdict, "all verdicts", Object.entries(data.verdicts).filter(([key]) => data.samples.some((sample) => sample.verdict === key)));
  const restore = (scroll) => {
    state = read();
    if (!state.sample && data.samples.length) state.sample = chosen()[0]?.id ?? "";
    for (const key of ["find", "class", "verdict", "sort"]) form.elements[key].value = state[key];
    draw();
    show_sample(false);
    if (scroll && location.hash.startsWith("#samples&")) document.getElementById("samples").scrollIntoView();
  };
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => {
    for (const key of ["find", "class", "verdict", "sort"]) state[key] = form.elements[key].value;
    write(false);
    draw();
  });
  root.addEventListener("keydown", (event) => {
    if (event.target.matches("input, select")) return;
    if (event.key === "Escape" && pinned !== null) pin(pinned);
    else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      next(event.key === "ArrowLeft" ? -1 : 1);
      event.preventDefault();
    }
  });
  // Links to other parts of the page leave the samples as they are.
  addEventListener("popstate", () => (location.hash === "" || location.hash.startsWith("#samples&")) && restore(true));
  root.hidden = false;
  restore(true);
})();
