"use strict";
// The tables of breaks and open items: sorted, filtered, searched and paged in the page, which loads nothing. Texts come
// from files that anybody may have written: they are set as text, never as markup.
(() => {
  const at = (id) => document.getElementById(id);
  const parsed = (id) => JSON.parse(at(id).textContent);
  const data = parsed("data-breaks");
  const open = parsed("data-open");
  const exact = (value) => (typeof value === "string" ? BigInt(value) : value);
  for (const name of ["stake", "expected", "actual", "difference"]) data[name] = data[name].map(exact);
  open.amount = open.amount.map(exact);

  const make = (tag, text, className) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (className) element.className = className;
    return element;
  };
  const count = (value) => String(value).replace(/\B(?=(\d{3})+$)/g, ",");
  const money = (value, currency) => {
    if (value === null) return "–";
    const [code, decimals] = data.currencies[currency];
    const digits = String(value).replace("-", "").padStart(decimals + 1, "0");
    const point = digits.length - decimals;
    return `${value < 0 ? "-" : ""}${count(digits.slice(0, point))}${decimals ? "." + digits.slice(point) : ""} ${code}`;
  };
  const time = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ");
  const age = (seconds) => {
    const hours = Math.max(0, Math.floor((data.as_of - seconds) / 3600));
    return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} days`;
  };
  const severity = (i) => data.classes[data.class[i]][1];
  const overdue = (i) => Math.floor((data.as_of - data.time[i]) / 3600) > data.severities[severity(i)][1];
  // Amounts of two currencies don't compare: they are sorted by the currency first.
  const code = (currency) => data.currencies[currency][0];
  const side = (i, which) => (data.apart[i] || [data.currency[i], data.currency[i]])[which];
  const blocks = new Map();
  const rows = (i) => {
    const number = Math.floor(i / data.block);
    if (!blocks.has(number)) blocks.set(number, parsed(`data-rows-${number}`));
    return blocks.get(number)[i % data.block];
  };

  // A table over columns of values. Rows are numbers; what is shown of them is made when they are on the page.
  function table(name, settings) {
    const root = at(name);
    if (!root) return; // there is nothing to list
    const body = root.querySelector("tbody");
    const field = (what) => root.querySelector(`[data-${what}]`);
    const heads = [...root.querySelectorAll("thead th")];
    const selects = [...root.querySelectorAll("select[data-filter]")];
    const every = Array.from({ length: settings.length }, (_, i) => i);
    const hay = [];
    const state = { shown: every, page: 0, sorted: -1, down: false };

    for (const select of selects) {
      const choices = settings.filters[select.dataset.filter];
      const totals = new Map();
      for (const i of every) totals.set(choices.of(i), (totals.get(choices.of(i)) || 0) + 1);
      for (const [value, total] of [...totals].sort((one, other) => (choices.text(one[0]) < choices.text(other[0]) ? -1 : 1))) {
        const option = make("option", `${choices.text(value) || "none"} (${count(total)})`);
        option.value = value;
        select.append(option);
      }
    }

    function draw() {
      const size = Number(field("size").value);
      const pages = Math.max(1, Math.ceil(state.shown.length / size));
      state.page = Math.min(state.page, pages - 1);
      const from = state.page * size;
      body.replaceChildren(...state.shown.slice(from, from + size).map(settings.row));
      if (!state.shown.length) {
        const cell = make("td", "Nothing fits. Change the search or the filters.");
        cell.colSpan = heads.length;
        body.append(make("tr"));
        body.lastChild.append(cell);
      }
      const last = Math.min(from + size, state.shown.length);
      const of = state.shown.length === settings.length ? "" : ` found among ${count(settings.length)}`;
      field("status").textContent = `${count(state.shown.length && from + 1)}–${count(last)} of ${count(state.shown.length)}${of}`;
      field("page").textContent = `Page ${count(state.page + 1)} of ${count(pages)}`;
      field("previous").disabled = state.page === 0;
      field("next").disabled = state.page === pages - 1;
    }

    function choose() {
      const words = field("search").value.toLowerCase().split(/\s+/).filter(Boolean);
      const wanted = selects.filter((one) => one.value !== "").map((one) => [settings.filters[one.dataset.filter].of, one.value]);
      const fits = (i) => wanted.every(([of, value]) => String(of(i)) === value);
      if (words.length) for (const i of every) hay[i] ??= settings.text(i).toLowerCase();
      state.shown = every.filter((i) => fits(i) && words.every((word) => hay[i].includes(word)));
      if (state.sorted >= 0) {
        const keys = settings.keys[heads[state.sorted].dataset.key];
        const sign = state.down ? -1 : 1;
        const compare = (one, other) => {
          for (const key of keys) {
            const [a, b] = [key(one), key(other)];
            if (a === b) continue;
            if (a === null || b === null) return a === null ? 1 : -1;
            return a < b ? -sign : sign;
          }
          return one - other;
        };
        state.shown.sort(compare);
      }
      state.page = 0;
      const sums = new Map();
      for (const i of state.shown) {
        const amounts = settings.sums(i);
        const held = sums.get(amounts[0]) || amounts.slice(1).map(() => 0n);
        sums.set(amounts[0], held.map((sum, n) => sum + BigInt(amounts[n + 1] ?? 0)));
      }
      const totals = [...sums].map(([currency, held]) => held.map((sum, n) => `${settings.summed[n]} ${money(sum, currency)}`).join(", "));
      field("sums").textContent = totals.length ? `Together: ${totals.join("; ")}` : "";
      draw();
    }

    heads.forEach((head, n) => {
      const button = head.querySelector("button");
      if (!button) return;
      button.addEventListener("click", () => {
        state.down = state.sorted === n && !state.down;
        state.sorted = n;
        heads.forEach((one) => one.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", state.down ? "descending" : "ascending");
        choose();
      });
    });
    let timer = 0;
    field("search").addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(choose, 120);
    });
    for (const select of selects) select.addEventListener("change", choose);
    field("size").addEventListener("change", draw);
    for (const [what, step] of [["previous", -1], ["next", 1]]) {
      field(what).addEventListener("click", () => {
        state.page += step;
        draw();
      });
    }
    if (settings.first) field("search").value = settings.first;
    choose();
    root.hidden = false;
  }

  const cell = (text, className) => make("td", text, className);

  function breakRow(i) {
    const row = make("tr");
    const name = cell(undefined, "what");
    const button = make("button", data.classes[data.class[i]][0], `severity ${data.severities[severity(i)][0]}`);
    button.type = "button";
    button.setAttribute("aria-expanded", "false");
    name.append(button, make("span", [data.gateways[data.gateway[i]], data.subject[i]].filter(Boolean).join(" · "), "subject"));
    row.append(
      name,
      cell(data.severities[severity(i)][0], "wide"),
      cell(money(data.expected[i], side(i, 0)), "n wide"),
      cell(money(data.actual[i], side(i, 1)), "n wide"),
      cell(money(data.difference[i], data.currency[i]), "n"),
      cell(money(data.stake[i], data.currency[i]), "n wide"),
      cell(age(data.time[i]) + (overdue(i) ? ", overdue" : ""), overdue(i) ? "wide overdue" : "wide"),
    );
    button.addEventListener("click", () => {
      const isOpen = button.getAttribute("aria-expanded") === "true";
      button.setAttribute("aria-expanded", String(!isOpen));
      if (isOpen) row.nextSibling.remove();
      else row.after(detailRow(i));
    });
    return row;
  }

  function detailRow(i) {
    const [id, merchant, payment, surplus, why, note, evidence] = rows(i);
    const [, , meaning, toDo, expectedIs, actualIs] = data.classes[data.class[i]];
    const row = make("tr", undefined, "detail");
    const whole = cell();
    whole.colSpan = 7;
    const list = make("dl");
    const say = (term, ...texts) => {
      const text = texts.filter(Boolean).join(" ");
      if (text) list.append(make("dt", term), make("dd", text));
    };
    say("Why", meaning, why, note);
    say("What to do", toDo);
    say("Expected", money(data.expected[i], side(i, 0)), `(${expectedIs})`);
    say("Actual", money(data.actual[i], side(i, 1)), `(${actualIs})`);
    say("Difference", money(data.difference[i], data.currency[i]));
    say("At stake", money(data.stake[i], data.currency[i]));
    say("When", `${time(data.time[i])} UTC, ${age(data.time[i])} old, to be looked at within ${data.severities[severity(i)][1]} h`, overdue(i) ? "(overdue)" : "");
    say("To give back", surplus);
    say("Merchant, payment", [merchant, payment].filter(Boolean).join(" · "));
    say("Break", id);
    const inside = make("div", undefined, "inside");
    inside.append(list);
    if (evidence.length) inside.append(sideBySide(evidence));
    whole.append(inside);
    row.append(whole);
    return row;
  }

  function sideBySide(evidence) {
    const names = [...new Set(evidence.flatMap(([, flat]) => flat.filter((_, n) => n % 2 === 0)))];
    const values = evidence.map(([, flat]) => new Map(flat.flatMap((name, n) => (n % 2 ? [] : [[name, flat[n + 1]]]))));
    const scroll = make("div", undefined, "scroll");
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", "Rows side by side");
    const grid = make("table", undefined, "rows");
    const line = (tag, title, texts, className) => {
      const row = make("tr", undefined, className);
      const head = make("th", title);
      head.scope = "row";
      row.append(head, ...texts.map((text) => make(tag, text)));
      grid.append(row);
      if (tag === "th") for (const one of row.cells) one.scope = "col";
    };
    line("th", "", evidence.map(([source]) => source));
    for (const name of names) {
      const texts = values.map((one) => one.get(name) ?? "");
      const differs = data.labels[name] === "amount" && new Set(texts.filter(Boolean)).size > 1;
      line("td", data.labels[name], texts, differs ? "differs" : "");
    }
    scroll.append(grid);
    return scroll;
  }

  const by = (values) => (i) => values[i];
  const deep = (value) => (Array.isArray(value) ? value.map(deep).join(" ") : typeof value === "string" ? value : "");
  table("breaks-table", {
    length: data.class.length,
    first: /^#brk_[0-9a-f]+$/.test(location.hash) ? location.hash.slice(1) : "",
    row: breakRow,
    text: (i) => `${data.classes[data.class[i]][0]} ${data.gateways[data.gateway[i]]} ${data.subject[i]} ${money(data.stake[i], data.currency[i])} ${deep(rows(i))}`,
    summed: ["difference", "at stake"],
    sums: (i) => [data.currency[i], data.difference[i], data.stake[i]],
    filters: {
      class: { of: by(data.class), text: (value) => data.classes[value][0] },
      severity: { of: severity, text: (value) => data.severities[value][0] },
      gateway: { of: by(data.gateway), text: (value) => data.gateways[value] },
      currency: { of: by(data.currency), text: code },
      overdue: { of: overdue, text: (value) => (value ? "overdue" : "in time") },
    },
    keys: {
      class: [by(data.class)],
      severity: [severity],
      expected: [(i) => code(side(i, 0)), by(data.expected)],
      actual: [(i) => code(side(i, 1)), by(data.actual)],
      difference: [(i) => code(data.currency[i]), by(data.difference)],
      stake: [(i) => code(data.currency[i]), by(data.stake)],
      age: [(i) => -data.time[i]],
    },
  });
  table("open-table", {
    length: open.source.length,
    row: (i) => {
      const row = make("tr");
      const what = cell(open.reasons[open.reason[i]], "what");
      what.append(make("span", open.label[i] || open.key[i], "subject"));
      row.append(
        what,
        cell(open.sources[open.source[i]], "wide"),
        cell(open.gateways[open.gateway[i]], "wide"),
        cell(time(open.time[i]), "wide"),
        cell(money(open.amount[i], open.currency[i]), "n"),
      );
      return row;
    },
    text: (i) => `${open.reasons[open.reason[i]]} ${open.label[i]} ${open.key[i]} ${open.gateways[open.gateway[i]]} ${money(open.amount[i], open.currency[i])}`,
    summed: ["sum"],
    sums: (i) => [open.currency[i], open.amount[i]],
    filters: {
      reason: { of: by(open.reason), text: (value) => open.reasons[value] },
      source: { of: by(open.source), text: (value) => open.sources[value] },
      currency: { of: by(open.currency), text: code },
    },
    keys: {
      reason: [by(open.reason)],
      source: [by(open.source)],
      gateway: [by(open.gateway)],
      time: [by(open.time)],
      amount: [(i) => code(open.currency[i]), by(open.amount)],
    },
  });
  performance.mark("payonce-ready");
})();
