// The charts' library takes longer to start than anything else does. Dash would start it when the first
// chart is there; here it starts as soon as the first page is asked for, while the server works on it.
(function () {
  "use strict";
  const fetch = window.fetch;
  window.fetch = (...asked) => {
    const answer = fetch(...asked);
    if (String(asked[0]).includes("_dash-update-component")) {
      window.fetch = fetch;
      // Dash waits for window.Plotly where there is one; the library puts itself in this place
      window.Plotly = new Promise((loaded, failed) => {
        const script = document.createElement("script");
        script.src = "/_dash-component-suites/plotly/package_data/plotly.min.js";
        script.onload = loaded;
        script.onerror = failed;
        document.head.append(script);
      });
    }
    return answer;
  };
})();
