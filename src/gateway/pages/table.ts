/** Where a file of a page stands: in an installed package, or in the folder `browser` beside this module. */
export type PageFile = { readonly package: string; readonly file: string } | { readonly own: string };

/**
 * Every file that the pages load, by its path. Exact: no part of a URL ever becomes a part of a path on the disk, and
 * what stands here is public, because it tells nothing of what the hub holds.
 */
export const pageFiles = {
  '/pages/react.js': { package: 'react', file: 'umd/react.production.min.js' },
  '/pages/react-dom.js': { package: 'react-dom', file: 'umd/react-dom.production.min.js' },
  '/pages/graphiql.js': { package: 'graphiql', file: 'graphiql.min.js' },
  '/pages/graphiql.css': { package: 'graphiql', file: 'graphiql.min.css' },
  '/pages/graphiql-start.js': { own: 'graphiql-start.js' },
  '/pages/graphiql-start.css': { own: 'graphiql-start.css' },
  '/pages/swagger-ui.js': { package: 'swagger-ui-dist', file: 'swagger-ui-bundle.js' },
  '/pages/swagger-ui.css': { package: 'swagger-ui-dist', file: 'swagger-ui.css' },
  '/pages/docs.js': { own: 'docs.js' },
  '/pages/docs.css': { own: 'docs.css' },
  '/pages/async.js': { own: 'async.js' },
  '/pages/dashboard.js': { own: 'dashboard.js' },
  '/pages/dashboard-state.js': { own: 'dashboard-state.js' },
  '/pages/dashboard-live.js': { own: 'dashboard-live.js' },
  '/pages/session.js': { own: 'session.js' },
  '/pages/dom.js': { own: 'dom.js' },
  '/pages/bar.css': { own: 'bar.css' },
  '/pages/pages.css': { own: 'pages.css' },
} as const satisfies Readonly<Record<string, PageFile>>;

export type PagePath = keyof typeof pageFiles;

/** Paths of pages that hold no data themselves: what they show they ask for with the reader's own token. */
export const shellPaths: readonly string[] = ['/', '/docs', '/docs/async'];
