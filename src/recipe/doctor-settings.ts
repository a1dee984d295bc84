/** @file The settings of doctor. */
import { z } from 'zod'

/** Versions of CUDA for which ONNX Runtime's files can be had: one's on nuget.org, the other's on PyPI. */
export const cudaVersions = ['cuda12', 'cuda13'] as const
export type CudaVersion = (typeof cudaVersions)[number]

export const doctorSchema = z.strictObject({
  base_model: z
    .string()
    .min(1)
    .optional()
    .meta({ description: 'a model to check too', alias: ['model_name_or_path', 'model'] }),
  online: z
    .boolean()
    .default(false)
    .meta({ description: 'ask whether the Hub and the judges with a key can be reached' }),
  install_cuda: z.enum(cudaVersions).optional().meta({
    description:
      'first fetch the files for --device cuda (Linux, x64), which the package does not bring: from nuget.org or PyPI',
  }),
  json: z.boolean().default(false).meta({ description: 'the checks as one JSON object' }),
})

export type DoctorSettings = z.output<typeof doctorSchema>

/** `failed`: what everything needs; `absent`: what something would be better with. Both say how to get it. */
export interface Check {
  readonly area: 'machine' | 'engine' | 'model' | 'python' | 'environment' | 'network'
  readonly name: string
  readonly state: 'ok' | 'absent' | 'failed'
  readonly value: string
  readonly fix?: string
}
