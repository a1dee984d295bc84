#!/usr/bin/env node
/** @file The original README's command: `node scripts/run_trainer.js --base_model …` is `stepdpo train --base_model …`. */
import { main } from '../bin/main.js'

await main(['train', ...process.argv.slice(2)])
