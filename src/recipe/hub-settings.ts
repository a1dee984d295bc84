/** @file The settings of download and push. */
import { z } from 'zod'

const repo = z
  .string()
  .min(1)
  .meta({ description: 'org/name on the Hub, also as an argument', alias: ['repo_id'] })
const repo_type = z.enum(['model', 'dataset']).default('model').meta({ description: 'what it is' })
const json = z.boolean().default(false).meta({ description: 'the result as one JSON object' })
const patterns = z.array(z.string().min(1)).default([])

export const downloadSchema = z.strictObject({
  repo,
  files: patterns.meta({ description: 'these files only, also as arguments after org/name' }),
  repo_type,
  revision: z.string().min(1).default('main').meta({ description: 'branch, tag or commit' }),
  include: patterns.meta({ description: 'files that match one of these (* and ?, also across folders)' }),
  exclude: patterns.meta({ description: 'but not those that match one of these' }),
  local_dir: z.string().min(1).optional().meta({ description: "a folder of plain files, instead of the Hub's cache" }),
  json,
})

export type DownloadSettings = z.output<typeof downloadSchema>

export const pushSchema = z.strictObject({
  folder: z.string().min(1).meta({ description: 'result of train or merge, also as the first argument' }),
  repo: repo.meta({
    description: 'org/name on the Hub, also as the second argument',
    alias: ['repo_id', 'hub_model_id'],
  }),
  private: z.boolean().default(false).meta({ description: 'a new repository is seen by nobody else' }),
  revision: z.string().min(1).default('main').meta({ description: 'branch; made where it is not there' }),
  commit_message: z.string().min(1).default('Upload with stepdpo').meta({ description: 'first line: the title' }),
  dry_run: z.boolean().default(false).meta({ description: 'show what would be sent, and send nothing' }),
  json,
})

export type PushSettings = z.output<typeof pushSchema>
