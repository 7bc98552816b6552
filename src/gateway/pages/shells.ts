import type { Page } from './page-files.ts';
import type { PagePath } from './table.ts';

/** Nothing of another host, no script and no style that stands in the page. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

type Shell = {
  readonly title: string;
  readonly styles: readonly PagePath[];
  /** In this order, each behind the parsed page. */
  readonly scripts: readonly PagePath[];
  /** What stands in the page before it has asked for anything. */
  readonly body: string;
};

const links: readonly (readonly [path: string, text: string])[] = [
  ['/', 'Dashboard'],
  ['/docs', 'REST'],
  ['/docs/async', 'WebSocket, SSE, ZeroMQ'],
  ['/graphql', 'GraphQL'],
];

const isModule = (path: PagePath): boolean => path !== '/pages/swagger-ui.js';

const pageOf = ({ title, styles, scripts, body }: Shell): Page => ({
  contentSecurityPolicy,
  files: [...styles, ...scripts],
  html: (urlOf) => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} - NEXUS</title>
<link rel="icon" href="data:,">
${styles.map((path) => `<link rel="stylesheet" href="${urlOf(path)}">`).join('\n')}
</head>
<body>
<header class="bar">
<strong>NEXUS</strong>
<nav>${links.map(([path, text]) => `<a href="${path}">${text}</a>`).join(' ')}</nav>
<span id="status"></span>
<form id="sign-in" hidden>
<label for="token">Bearer token</label>
<input id="token" type="password" autocomplete="off" required>
<button>Use it</button>
</form>
<button id="sign-out" type="button" hidden>Forget the token</button>
</header>
<p id="notice" role="status"></p>
<noscript>This page needs JavaScript.</noscript>
${body}
${scripts.map((path) => `<script ${isModule(path) ? 'type="module"' : 'defer'} src="${urlOf(path)}"></script>`).join('\n')}
</body>
</html>
`,
});

const dashboard = `<main id="main" hidden>
<section><h2>Health</h2><div id="health"></div></section>
<section><h2>Services</h2><div id="services"></div></section>
<section><h2>Durable subscriptions</h2><div id="subscriptions"></div></section>
<section><h2>Plugins</h2><div id="plugins"></div></section>
<section>
<h2>State</h2>
<form id="state-form" class="form">
<label for="prefix">Keys that begin with</label><input id="prefix" autocomplete="off"><button>Show</button>
</form>
<div id="state-list"></div>
<div id="state-key"></div>
</section>
<section>
<h2>Live</h2>
<form id="live-form" class="form">
<select id="live-what" aria-label="What to follow"><option value="messages">Messages</option><option value="events">All events</option></select>
<label for="topic">of topic</label><input id="topic" value="&gt;" autocomplete="off"><button>Follow</button>
<span id="live-state" class="quiet"></span>
</form>
<table><thead><tr><th scope="col">when</th><th scope="col">what</th><th scope="col">by</th><th scope="col">content</th></tr></thead><tbody id="live-rows"></tbody></table>
</section>
</main>`;

/** The pages by their paths; they hold no data, and ask for it with the reader's own token. */
export const shells: ReadonlyMap<string, Page> = new Map([
  [
    '/',
    pageOf({
      title: 'Dashboard',
      styles: ['/pages/bar.css', '/pages/pages.css'],
      scripts: ['/pages/dashboard.js'],
      body: dashboard,
    }),
  ],
  [
    '/docs',
    pageOf({
      title: 'REST',
      styles: ['/pages/bar.css', '/pages/swagger-ui.css', '/pages/docs.css'],
      scripts: ['/pages/swagger-ui.js', '/pages/docs.js'],
      body: '<div id="swagger-ui"></div>',
    }),
  ],
  [
    '/docs/async',
    pageOf({
      title: 'WebSocket, SSE, ZeroMQ',
      styles: ['/pages/bar.css', '/pages/pages.css'],
      scripts: ['/pages/async.js'],
      body: '<div id="content"></div>',
    }),
  ],
]);
