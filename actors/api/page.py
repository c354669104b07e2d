"""The page that describes the API: it reads the OpenAPI document of the same host, no CDN."""

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>CryptoOrchestrator control API</title>
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code, pre { font-family: ui-monospace, monospace; font-size: .9rem; }
details { border: 1px solid #8886; border-radius: .4rem; margin: .5rem 0; padding: .4rem .8rem; }
summary { cursor: pointer; }
.method { display: inline-block; min-width: 3.5rem; font-weight: 700; }
.note { border-left: .3rem solid #b80; padding-left: .8rem; }
pre { overflow: auto; max-height: 24rem; background: #8881; padding: .6rem; }
</style></head><body>
<h1>Control API</h1>
<p class="note">This version trades <strong>simulated</strong> markets only. Amounts are decimal
strings. What changes something needs <code>Authorization: Bearer TOKEN</code>.</p>
<p><a href="/schema/openapi.json">OpenAPI document</a> ·
stream: <code>ws://…/api/v1/stream</code></p>
<div id="routes">Loading…</div>
<script>
const text = (tag, value) => {
  const node = document.createElement(tag); node.textContent = value; return node;
};
fetch('/schema/openapi.json').then(r => r.json()).then(schema => {
  const routes = document.getElementById('routes');
  routes.textContent = '';
  for (const [path, methods] of Object.entries(schema.paths)) {
    for (const [method, route] of Object.entries(methods)) {
      const details = document.createElement('details');
      const summary = document.createElement('summary');
      const name = text('span', method.toUpperCase()); name.className = 'method';
      summary.append(name, text('code', path), ' ', route.description || route.summary || '');
      details.append(summary);
      if (method === 'get') {
        const button = text('button', 'Ask'); const answer = text('pre', '');
        button.onclick = async () => {
          const reply = await fetch(path);
          answer.textContent = reply.status + '\\n'
            + JSON.stringify(await reply.json(), null, 2);
        };
        details.append(button, answer);
      }
      routes.append(details);
    }
  }
});
</script></body></html>
"""
