// The charts' library takes longest to start. Dash would start it with the first chart; here it starts
// with the request for the first page, while the server works on it.
(function () {
  "use strict";
  const fetch = window.fetch;
  window.fetch = (...asked) => {
    const answer = fetch(...asked);
    if (String(asked[0]).includes("_dash-update-component")) {
      window.fetch = fetch;
      // Dash waits for window.Plotly where it is set; the library replaces it
      window.Plotly = new Promise((loaded, failed) => {
        const script = document.createElement("script");
        script.src = document.getElementById("charts-library").href;
        script.onload = loaded;
        script.onerror = failed;
        document.head.append(script);
      });
    }
    return answer;
  };
})();
