// A session's replay: the server sends every beat once, and the browser draws one of them. app.py
// registers these functions as Dash's callbacks.
(function () {
  "use strict";

  const TRAIL = 8;
  const no_update = () => window.dash_clientside.no_update;

  const listed = (words) =>
    words.length > 1 ? `${words.slice(0, -1).join(", ")} and ${words[words.length - 1]}` : words[0];

  const traces = (data, number) => {
    const beat = data.beats[number];
    const middle = new Map(beat.centroids.map(([team, x, y]) => [team, [x, y]]));
    const drawn = [];
    for (const team of data.teams) {
      // the team's centroids at the beats before, fading
      const past = data.beats
        .slice(Math.max(0, number - TRAIL), number + 1)
        .flatMap((b) => b.centroids.filter(([t]) => t === team.number));
      drawn.push({
        type: "scatter", mode: "lines", hoverinfo: "skip", showlegend: false,
        x: past.map((c) => c[1]), y: past.map((c) => c[2]),
        line: { color: team.colour, width: 1.5, dash: "dot" },
      });
    }
    for (const [one, two] of beat.met) {
      const ends = [one, two].map((team) => middle.get(team)).filter(Boolean);
      drawn.push({
        type: "scatter", mode: "lines", hoverinfo: "skip", showlegend: false,
        x: ends.map((end) => end[0]), y: ends.map((end) => end[1]),
        line: { color: "#1a2530", width: 4 },
      });
    }
    for (const team of data.teams) {
      const players = beat.players.filter(([t]) => t === team.number);
      drawn.push({
        type: "scatter", mode: "markers", name: `team ${team.name}`,
        x: players.map((p) => p[1]), y: players.map((p) => p[2]),
        marker: { color: team.colour, symbol: team.symbol, size: 9, line: { color: "#ffffff", width: 1 } },
        hovertemplate: `player of team ${team.name}: %{x}, %{y}<extra></extra>`,
      });
      const at = middle.get(team.number);
      drawn.push({
        type: "scatter", mode: "markers+text", showlegend: false,
        x: at ? [at[0]] : [], y: at ? [at[1]] : [], text: [String(team.number)],
        textfont: { color: "#ffffff", size: 13 },
        marker: {
          color: team.colour, symbol: "circle", size: 24,
          line: { color: beat.met.flat().includes(team.number) ? "#1a2530" : "#ffffff", width: 2.5 },
        },
        hovertemplate: `middle of team ${team.name}: %{x}, %{y}<extra></extra>`,
      });
    }
    return drawn;
  };

  const describe = (data, number) => {
    const beat = data.beats[number];
    const name = (number) => (data.teams.find((team) => team.number === number) || { name: number }).name;
    const met = beat.met.map(([one, two]) => `teams ${name(one)} and ${name(two)}`);
    const where = beat.centroids.map(
      ([team, x, y, players]) =>
        `team ${name(team)}, ${players === 1 ? "1 player" : `${players} players`}, at ${x.toFixed(0)}, ${y.toFixed(0)}`
    );
    return (
      `Beat ${number + 1} of ${data.beats.length}, ${beat.at} UTC: ` +
      (met.length ? `${listed(met)} in a${data.word === "encounter" ? "n" : ""} ${data.word}. ` : `no ${data.word}. `) +
      `Middles: ${where.join("; ")}.`
    );
  };

  const draw = (value, data) => {
    if (!data) return [no_update(), no_update()];
    const number = Math.min(Math.max(Number(value) || 0, 0), data.beats.length - 1);
    return [{ data: traces(data, number), layout: data.layout }, describe(data, number)];
  };

  // the next beat's number, after the clock, a button, or an encounter of the list
  const move = (_ticks, _back, _on, go, value, data) => {
    const asked = window.dash_clientside.callback_context.triggered_id;
    const last = data.beats.length - 1;
    const now = Number(value) || 0;
    if (asked === "replay-back") return Math.max(now - 1, 0);
    if (asked === "replay-on") return Math.min(now + 1, last);
    if (asked === "replay-clock") return now < last ? now + 1 : 0;
    if (asked && asked.beat !== undefined && go.some(Boolean)) return asked.beat;
    return no_update();
  };

  // starts or stops the clock; it stops at the last beat
  const play = (_clicks, value, disabled, data) => {
    const asked = window.dash_clientside.callback_context.triggered_id;
    if (asked === "replay-play" && _clicks) return disabled ? [false, "Pause"] : [true, "Play"];
    const ended = !disabled && Number(value) >= data.beats.length - 1;
    return ended ? [true, "Play"] : [no_update(), no_update()];
  };

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.replay = { draw, move, play };
})();
