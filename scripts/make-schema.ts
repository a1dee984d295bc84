/** @file Writes schema.json, by which editors check and complete the YAML files of `stepdpo train --config`. */
import { writeDurably } from '../src/base/files.ts'
import { trainSchema } from '../src/recipe/config.ts'
import { jsonSchema } from '../src/recipe/settings-yaml.ts'

writeDurably('schema.json', `${JSON.stringify(jsonSchema(trainSchema), null, 2)}\n`)
