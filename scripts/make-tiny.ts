/** @file Writes what the README's first run needs: a tiny fresh model and step-labelled word problems, below build/tiny. */
import { mkdirSync } from 'node:fs'
import { writeDurably } from '../src/base/files.ts'
import { makeTinyRow } from './tiny-data.ts'
import { writeTinyModel } from './tiny-model.ts'

const FOLDER = 'build/tiny'
const PROBLEMS = 120

mkdirSync(FOLDER, { recursive: true })
writeTinyModel(`${FOLDER}/model`, 0)
const rows = Array.from({ length: PROBLEMS }, (_, index) => `${JSON.stringify(makeTinyRow(0, index))}\n`)
writeDurably(`${FOLDER}/steps.jsonl`, rows)
console.log(`${FOLDER}: a model of fresh weights, and ${PROBLEMS} word problems with rated steps`)
