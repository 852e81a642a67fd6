// What bun has beside node: an HTTP server, children, a worker, files, hashes.
import { writeFileSync, readFileSync, mkdirSync, readdirSync } from "fs";
writeFileSync("out.txt", "hello");
mkdirSync("made/deep", { recursive: true });
console.log(readFileSync("out.txt", "utf8"), readdirSync("made"));
console.log(await Bun.file("out.txt").text(), new Bun.CryptoHasher("sha256").update("a").digest("hex"));

const server = Bun.serve({ port: 0, fetch: r => new Response("path " + new URL(r.url).pathname) });
const answers = await Promise.all([...Array(50).keys()].map(i =>
	fetch(`http://127.0.0.1:${server.port}/p${i}`).then(r => r.text())));
console.log(answers.length, answers[0], answers[49]);
server.stop(true);

const sync = Bun.spawnSync([process.execPath, "-e", "console.log(6 * 7); process.exit(3)"]);
console.log(sync.stdout.toString().trim(), sync.exitCode);
const child = Bun.spawn([process.execPath, "-e",
	'process.stdin.on("data", d => process.stdout.write(String(d).toUpperCase()))'], { stdin: "pipe", stdout: "pipe" });
child.stdin.write("abc");
child.stdin.end();
console.log(await new Response(child.stdout).text(), await child.exited);

const worker = new Worker(new URL("./worker.js", import.meta.url));
worker.postMessage(20);
console.log(await new Promise(r => (worker.onmessage = e => r(e.data))));
worker.terminate();
process.exit(7);
