"""The page's style sheet: it fetches nothing, and follows light and dark."""

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --card: #f6f7f9; --ink: #1c2430; --soft: #5b6675; --line: #d8dde3;
  --judge: #0072b2; --other: #009e73; --people: #d55e00; --good: #00734f; --careful: #8a5a00; --bad: #b3261e; }
@media screen and (prefers-color-scheme: dark) { :root { --paper: #14181e; --card: #1d232b; --ink: #e8ebef;
  --soft: #a3adba; --line: #38414d; --judge: #56b4e9; --other: #3ecf9f; --people: #f2a35e; --good: #4fd1a1;
  --careful: #f0b849; --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 64rem; padding: 2rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; border-top: 1px solid var(--line); padding-top: 1.5rem; }
p { margin: .5rem 0; max-width: 46rem; } .soft, figcaption, dd { color: var(--soft); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: .75rem;
  margin: 1.5rem 0; }
.card { background: var(--card); border: 1px solid var(--line); border-left: 5px solid var(--tone); border-radius: 6px;
  padding: .75rem 1rem; } .card h3 { font-size: .95rem; margin: 0; } .card p { font-size: .92rem; }
.card .shot { font-size: 1.2rem; font-weight: 600; margin: .25rem 0; } .now { grid-column: 1 / -1; }
.mark { float: right; margin-left: .5rem; color: var(--tone); font-weight: 600; font-size: .85rem; }
.good { --tone: var(--good); } .careful { --tone: var(--careful); } .bad { --tone: var(--bad); }
.unknown { --tone: var(--soft); }
ul.warnings { list-style: none; padding: 0; } ul.warnings li { border-left: 5px solid var(--careful); margin: .5rem 0;
  padding: .4rem .8rem; background: var(--card); border-radius: 6px; }
figure { margin: 1rem 0; overflow-x: auto; } figure svg { max-width: 100%; height: auto; display: block; }
figcaption { font-size: .92rem; max-width: 46rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .88rem; margin: .75rem 0; }
th, td { padding: .3rem .7rem; text-align: right; border-bottom: 1px solid var(--line); vertical-align: top;
  font-variant-numeric: tabular-nums; overflow-wrap: normal; } td { white-space: nowrap; }
th:first-child, td:first-child { text-align: left; white-space: normal; overflow-wrap: break-word; min-width: 10rem;
  max-width: 22rem; }
td.words, th.words { text-align: left; white-space: normal; }
th { color: var(--soft); font-weight: 600; vertical-align: bottom; }
dt { font-weight: 600; margin-top: .5rem; } dd { margin: 0; max-width: 46rem; font-size: .92rem; }
@media print { body { max-width: none; padding: 0; font-size: 11pt; } .card, li, figure, tr { break-inside: avoid; }
  h2 { break-after: avoid; } .wide, figure { overflow: visible; } table { font-size: 8.5pt; }
  td { white-space: normal; } }
"""
