/** @file Builds the dashboard's pages: one classic script and one sheet, which open from a server and from a disk. */
import { fileURLToPath } from 'node:url'
import { defineConfig, type Plugin } from 'vite'

const folder = fileURLToPath(new URL('.', import.meta.url))
const packages = fileURLToPath(new URL('../node_modules', import.meta.url))

/** KaTeX is used for MathML only: the tables by which it lays out HTML are left out, a third of its weight. */
const emptyTables: Readonly<Record<string, string>> = {
  // The heights of T and A, by which a macro places the A of \LaTeX.
  fontMetricsData: 'export default { "Main-Regular": { 84: [0, 0.683], 65: [0, 0.683] } }',
  svgGeometry:
    'export const path = {}; export { no as phasePath, no as sqrtPath, no as innerPath, no as tallDelim }; function no() {}',
}

function leaveOutLayout(): Plugin {
  return {
    name: 'katex-without-layout',
    enforce: 'pre',
    load(id) {
      const name = /katex\/src\/(\w+)\.[jt]s$/.exec(id)?.[1]
      return name === undefined ? null : emptyTables[name]
    },
  }
}

/** A page of file:// may not load modules. */
function classicScript(): Plugin {
  return {
    name: 'classic-script',
    enforce: 'post',
    transformIndexHtml: (html) =>
      html.replace('type="module" crossorigin', 'defer').replace('rel="stylesheet" crossorigin', 'rel="stylesheet"'),
  }
}

export default defineConfig({
  root: folder,
  base: './',
  define: { __VERSION__: '"0.17.0"' },
  resolve: { alias: [{ find: /^katex$/, replacement: `${packages}/katex/katex.ts` }] },
  plugins: [leaveOutLayout(), classicScript()],
  build: {
    outDir: '../dist/ui',
    emptyOutDir: true,
    modulePreload: false,
    cssCodeSplit: false,
    assetsInlineLimit: 0,
    target: 'es2022',
    rolldownOptions: {
      output: { format: 'iife', entryFileNames: 'app.js', assetFileNames: 'app[extname]' },
    },
  },
})
