// The floor of an extraction: asks for the URLs of the first file, so many at once, and appends each body to the second.
import { appendFileSync, readFileSync } from "node:fs";

const [from = "", to = "", atOnce = "1"] = process.argv.slice(2);
const urls = readFileSync(from, "utf8").trim().split("\n");
const worker = async () => {
    for (let url = urls.shift(); url !== undefined; url = urls.shift()) {
        const response = await fetch(url, { headers: { "user-agent": "shelfmark/bench (+bench@shelfmark.example)" } });
        appendFileSync(to, `${await response.text()}\n`);
    }
};
await Promise.all(Array.from({ length: Number(atOnce) }, worker));
