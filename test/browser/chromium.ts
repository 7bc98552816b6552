import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { type Browser, chromium, type Page } from 'playwright-core';
import { skipped } from '../support/skip.ts';

/** A name that leads to this machine, as a name of an attacker's would after DNS rebinding. */
export const foreignHost = 'evil.example';

const executablePath = (process.env.PATH ?? '')
  .split(delimiter)
  .map((folder) => join(folder, 'chromium'))
  .find((path) => existsSync(path));

/** Headless Chromium, or undefined where none is installed. */
export const launchChromium = async (): Promise<Browser | undefined> => {
  if (executablePath === undefined) return undefined;
  return chromium.launch({
    executablePath,
    args: [
      '--no-sandbox',
      '--headless',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      // Its own guard would keep a foreign page from the hub: what is tested is the hub's.
      '--disable-features=LocalNetworkAccessChecks',
      `--host-resolver-rules=MAP ${foreignHost} 127.0.0.1`,
    ],
  });
};

/** A page without cookies or cache of another's that is closed with the test, or undefined after the test was skipped. */
export const pageFor = async (
  t: ExecutionContext,
  browser: Browser | undefined,
): Promise<Page | undefined> => {
  if (browser === undefined) {
    skipped(t, t.title, 'chromium is not installed');
    return undefined;
  }
  const context = await browser.newContext();
  t.teardown(() => context.close());
  return context.newPage();
};

/** Opens an empty page of the origin `url`, whose server is not asked for it. */
export const openBlank = async (page: Page, url: string): Promise<void> => {
  const address = `${url}/blank-page-of-the-test`;
  await page.route(address, (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html>' }));
  await page.goto(address);
};

/** Runs `code` in the page as the body of an async function of `args`, and brings back what it returns. */
export const inPage = <Result>(page: Page, code: string, args: unknown = null): Promise<Result> =>
  page.evaluate<Result>(`(async (args) => { ${code} })(${JSON.stringify(args)})`);
