const requestsPerSecond = 3;
const burst = 25;
const undelayed = 10;

/**
 * nginx's leaky bucket as Open Library sets it: 3 requests a second, of the excess 10 pass at once, 15 wait for their
 * turn, the rest is refused. Call it with the time of each request in milliseconds; the answer is how many milliseconds
 * the request has to wait, or "refused". Source: docker/nginx.conf, zone api_limit, and ngx_http_limit_req_module.
 */
export function leakyBucket(): (at: number) => number | "refused" {
    let excess = -1;
    let last = 0;
    return (at) => {
        const next = Math.max(0, excess - ((at - last) / 1000) * requestsPerSecond + 1);
        if (next > burst) return "refused";
        [excess, last] = [next, at];
        return Math.max(0, ((next - undelayed) / requestsPerSecond) * 1000);
    };
}
