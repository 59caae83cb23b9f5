// The switches above the pages are plain form fields: they stay in place while a page is redrawn, and
// so does the keyboard's focus. Their values are stored only in the address.
(function () {
  "use strict";

  const fill = (select, values, chosen) => {
    const options = values.map(([value, text]) => new Option(text, value));
    if (chosen && !values.some(([value]) => value === chosen)) {
      options.push(new Option(chosen, chosen));
    }
    select.replaceChildren(...options);
    select.value = chosen;
  };

  // of the page that is shown: an address of before there was a Home has another
  let path = "/";

  // called by Dash with the state that the server read from the address
  const show = (state) => {
    const form = document.getElementById("switches");
    form.hidden = !state || !state.uses.length;
    if (!state) return;
    path = state.path;
    document.title = [state.page, state.of, "Sprint dashboard"].filter(Boolean).join(" · ");
    const fields = form.elements;
    const uses = (name) => state.uses.includes(name);
    fields.title.closest("label").hidden = !uses("title");
    fields.country.closest("label").hidden = !uses("country");
    form.querySelector(".dates").hidden = !uses("dates");
    if (uses("title")) {
      fill(fields.title, state.titles.map((name) => [name, name]), state.title);
      fill(fields.country, [["", "all"], ...state.countries], state.country);
    }
    if (uses("dates")) {
      for (const name of ["from", "to"]) {
        fields[name].min = state.min;
        fields[name].max = state.max;
        // not in the focused field: it would replace a half-typed day
        if (document.activeElement !== fields[name]) fields[name].value = state[name];
      }
    }
    // on a phone the tabs scroll (scrollIntoView would also begin the Tab key's way anew, here)
    for (const tabs of document.querySelectorAll("nav")) {
      const here = tabs.querySelector(".tab.here");
      if (here) tabs.scrollLeft = here.offsetLeft - (tabs.clientWidth - here.offsetWidth) / 2;
    }
  };

  const ask = (changed) => {
    const query = new URLSearchParams(window.location.search);
    for (const [name, value] of Object.entries(changed)) {
      if (value) query.set(name, value);
      else query.delete(name);
    }
    dash_clientside.set_props("address", { pathname: path, search: query.size ? `?${query}` : "" });
  };

  // Links between pages and periods do not reload the page: only changed parts are fetched.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a.tab, a.period, a.page-link");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const { pathname, search } = new URL(link.href);
    dash_clientside.set_props("address", { pathname, search });
  });

  document.addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("change", (event) => {
    const field = event.target;
    if (field.form && field.form.id === "switches") {
      if (!field.checkValidity()) return;
      if (field.name === "title") {
        // another title has other days, countries and sessions
        ask({ title: field.value, from: "", to: "", country: "", day: "", session: "" });
      } else if (field.name === "country") {
        ask({ country: field.value });
      } else {
        // both ends: a missing one would change with the data
        const { title, from, to } = field.form.elements;
        const days = { from: from.value, to: to.value };
        ask(title.closest("label").hidden ? days : { title: title.value, ...days });
      }
    } else if (field.id === "replay-day") {
      ask({ day: field.value, session: "" });
    } else if (field.id === "replay-session") {
      ask({ day: document.getElementById("replay-day").value, session: field.value });
    }
  });

  // A redrawn element loses the focus; this gives it back.
  let focused = "";
  document.addEventListener("focusin", (event) => {
    focused = event.target.id;
  });
  document.addEventListener("pointerdown", (event) => {
    focused = event.target.id;
  });
  new MutationObserver(() => {
    if (!focused || document.activeElement !== document.body) return;
    const again = document.getElementById(focused);
    if (again) again.focus({ preventScroll: true });
  }).observe(document.documentElement, { childList: true, subtree: true });

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.switches = { show };
})();
