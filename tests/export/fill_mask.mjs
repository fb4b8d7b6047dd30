// Fills a mask with an exported graph in onnxruntime-web: `node fill_mask.mjs FOLDER ID…`. Prints the five likeliest pieces at the mask.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as ort from "onnxruntime-web";

const [folder, mask, ...ids] = process.argv.slice(2);
const file = join(folder, "model.safetensors");
const externalData = existsSync(file) ? [{ path: "model.safetensors", data: readFileSync(file) }] : [];
const session = await ort.InferenceSession.create(readFileSync(join(folder, "model.onnx")), { externalData, executionProviders: ["wasm"] });
const tensor = (values) => new ort.Tensor("int64", BigInt64Array.from(values, BigInt), [1, ids.length]);
const { logits } = await session.run({ input_ids: tensor(ids), attention_mask: tensor(ids.map(() => 1)) });
const width = logits.dims[2];
const scores = logits.data.slice(ids.indexOf(mask) * width, (ids.indexOf(mask) + 1) * width);
const best = [...scores.keys()].sort((a, b) => scores[b] - scores[a]).slice(0, 5);
console.log(JSON.stringify(best));
