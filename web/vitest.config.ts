import { svelte } from '@sveltejs/vite-plugin-svelte';
import tailwindcss from '@tailwindcss/vite';
import { playwright } from '@vitest/browser-playwright';
import { defineConfig } from 'vitest/config';

// unit: everything below src/ui in plain Node. component: real Chromium, no emulated DOM.
export default defineConfig({
  test: {
    projects: [
      {
        plugins: [svelte()],
        // The build the worker runs, not the one for Node with its own DOM.
        resolve: {
          alias: { 'strophe.js': new URL('./node_modules/strophe.js/dist/strophe.esm.js', import.meta.url).pathname },
        },
        test: {
          name: 'unit',
          environment: 'node',
          include: ['src/{xmpp,im,view,platform,actions}/**/*.test.ts', 'tests/**/*.test.ts'],
        },
      },
      {
        plugins: [tailwindcss(), svelte()],
        test: {
          name: 'component',
          include: ['src/{ui,kit}/**/*.test.ts'],
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            provider: playwright({
              launchOptions: {
                executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
                args: [
                  '--no-sandbox',
                  '--disable-gpu',
                  '--disable-quic',
                  '--no-first-run',
                  '--disable-background-networking',
                  '--disable-component-update',
                  '--disable-sync',
                ],
              },
            }),
            instances: [{ browser: 'chromium' }],
          },
        },
      },
    ],
  },
});
