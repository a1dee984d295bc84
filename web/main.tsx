/** @file Where the pages begin. */
import { render } from 'preact'
import 'uplot/dist/uPlot.min.css'
import './style/colours.css'
import './style/base.css'
import './style/frame.css'
import './style/parts.css'
import './style/figures.css'
import './style/run.css'
import './style/traces.css'
import './style/pages.css'
import './style/narrow.css'
import { App } from './app.tsx'
import { defineStatic } from './static.ts'
import { applyTheme } from './theme.ts'

applyTheme()
defineStatic()
const place = document.querySelector('#app')
if (place !== null) render(<App />, place)
