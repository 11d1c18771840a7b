import { paraglideVitePlugin } from '@inlang/paraglide-js';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import tailwindcss from '@tailwindcss/vite';
import { defineConfig } from 'vite';

// One page, two entry chunks behind it: sign-in and chat. Everything lands under
// /assets with a content hash, so that the server may let it be cached for ever.
export default defineConfig({
  plugins: [
    paraglideVitePlugin({
      project: './project.inlang',
      outdir: './src/paraglide',
      strategy: ['globalVariable', 'baseLocale'],
    }),
    tailwindcss(),
    svelte(),
  ],
  build: {
    target: 'es2022',
    assetsDir: 'assets',
    assetsInlineLimit: 0, // a data: script or font would be against the CSP
    modulePreload: { polyfill: false },
    sourcemap: false,
    reportCompressedSize: false,
    manifest: true, // read and then removed by scripts/budget.mjs
  },
  worker: { format: 'es' },
});
