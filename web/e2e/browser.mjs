// A person in a browser: one context, watched for everything the client promises not to do.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--ignore-certificate-errors',
    ],
  });
}

export class Person {
  constructor(name, origin, context, trouble) {
    Object.assign(this, { name, origin, context, trouble });
  }

  static async arrive(browser, name, origin, trouble, options = {}) {
    const context = await browser.newContext({
      ignoreHTTPSErrors: true,
      viewport: { width: 1280, height: 800 },
      reducedMotion: 'reduce',
      locale: 'en-GB',
      ...options,
    });
    const person = new Person(name, origin, context, trouble);
    await context.addInitScript(() => {
      addEventListener('securitypolicyviolation', (e) =>
        console.error(`CSP ${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}`),
      );
    });
    context.on('page', (page) => person.watch(page));
    context.on('request', (req) => {
      const url = new URL(req.url());
      if (url.protocol.startsWith('http') && url.host !== new URL(origin).host)
        trouble.push(`${name}: request to ${req.url()}`);
    });
    person.page = await context.newPage();
    return person;
  }

  watch(page) {
    page.on('pageerror', (err) => this.trouble.push(`${this.name}: ${err.stack ?? err}`));
    page.on('console', (msg) => {
      const text = msg.text();
      // The network is cut on purpose, and a wrong password is tried on purpose.
      if (
        msg.type() !== 'error' ||
        /ERR_(CONNECTION|EMPTY|SOCKET|INTERNET|NETWORK)|status of 40[13]|WebSocket connection to/.test(text)
      )
        return;
      this.trouble.push(`${this.name}: console: ${text}`);
    });
  }

  async signIn(password = 'parlance', page = this.page) {
    await page.goto(this.origin);
    await page.getByLabel('Name or address').fill(this.name);
    await page.getByLabel('Password', { exact: true }).fill(password);
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  }
  async signedIn(page = this.page) {
    await page.locator('nav .row').first().waitFor();
    await page.locator('.me [data-shape=available]').waitFor();
  }
  row(who, page = this.page) {
    return page.locator(`nav .row[data-jid="${who}@acme.test"]`).first();
  }
  async openWith(who, page = this.page) {
    await this.row(who, page).click();
    await page.locator('.scroller[data-loaded=true]').waitFor();
  }
  async say(text, page = this.page) {
    await page.locator('#composer').fill(text);
    await page.locator('#composer').press('Enter');
  }
  bubble(text, page = this.page) {
    return page.locator('article', { hasText: text });
  }
  /** Waits for the tick under a message. */
  tick(text, status, page = this.page) {
    return this.bubble(text, page).locator(`[data-tick=${status}]`).waitFor();
  }
  presenceOf(who, shape, page = this.page) {
    return this.row(who, page).locator(`[data-shape=${shape}]`).waitFor();
  }

  /** Signs out and goes: closing alone leaves a session that waits to be resumed. */
  async leave() {
    await this.page.locator('.me').click();
    await this.page.getByRole('menuitem', { name: 'Sign out' }).click();
    await this.page.getByRole('heading', { name: /Sign in/ }).waitFor();
    await this.context.close();
  }

  /** Runs axe; gives the violations as lines. */
  async axe(what, page = this.page) {
    await page.evaluate(axeSource);
    const found = await page.evaluate(async () => {
      const run = await globalThis.axe.run(document, {
        runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
      });
      return run.violations.map(
        (v) =>
          `${v.id}: ${v.nodes
            .map((n) => n.target.join(' '))
            .slice(0, 3)
            .join(' | ')}: ${v.nodes[0].failureSummary?.split('\n')[1] ?? ''}`,
      );
    });
    return found.map((f) => `${what}: ${f}`);
  }
  shot(name, page = this.page) {
    return page.screenshot({ path: new URL(`../screenshots/${name}.png`, import.meta.url).pathname });
  }
}
