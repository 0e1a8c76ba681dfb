"""Texts that analytical reports hold and that are nobody's data: a scan finds nothing in any of them."""

from __future__ import annotations

import base64
import hashlib
import random
import uuid

WRITTEN = [
    # names with an at sign
    "triage/delay@3, experiment_readout/delay-v2@12, templates@v2.1, react@18.0.0-rc.canary, lodash@4.17.21",
    "logo@2x.png and icons/plane@3x.svg, photo@large.jpeg, page@home.html, job@daily.service",
    "y_hat = X@beta, A@B.T, X@beta.values, (X.T@X)@np.linalg.inv(S), self.X@self.w.T, df@weights.reshape(3, 1)",
    "@property\n@app.route('/x')\n@pytest.mark.slow\n@dataclass(frozen=True)\n@nb.njit",
    "git@github.com:team/models.git, ssh://git@git.example.org/team/models.git",
    "root@localhost, user@host, ada@workstation:~$ ls, dask@scheduler:8786, @ada on the board, e-mail @ work",
    "sha256@abcdef, image@sha256:9c578b16db6a, registry/app:1.2@sha256:00ff",
    ".gt_table{} @media print{.gt_row{}} @import url(x.css); @font-face{src:url(a.woff2)}",
    "precision@k.95, recall@10, NDCG@5.0, mAP@.50, 5 @ 3.20, lift@top.decile(10)",
    # times, dates and windows
    "2013-05-01T06:00:00Z … 2013-05-31T23:59:59.999999+00:00, 2013-05-01 06:00:00+02:00, 20130501T060000Z",
    "01-05-2013, 01/05/2013, 01.05.2013, 01.05.13 06:30, 05-01-2013 06:30:15, 01.05.2013 12.30",
    "06:05:04.123456789, 00:00:59, 12:34:56, 23:59:60, UTC+01:00, GMT-05:00, +0100, -0800, +05:30",
    "1367366400, 1367366400000, 1367366400000000, 1367366400000000000",
    "0517 0515 0830 0819, 0533 1529 1850, 0600 0600 0900, 2013 4 1 517, 0005 0010 0059",
    "01 02 03 04 05, 01 02 03 04 05 06 07 08 09 10 11 12, 08 09 10 11 12, 05 10 15 20 25, 00 06 12 18",
    "weeks 01-05, 01–05 May, quarters 01/04, page 012 of 345, hours 01-02-03-04-05",
    # numbers of a statistician
    "0.041 [0.012, 0.070], +0.012 [−0.003, +0.027], p = 0.0312, z = +2.576, 1.96e+00, 3e-05, 1e+4512345678",
    "+12.5 %, +1,234, +12,345,678 rows, +1 234 567, −336,776, +336776, +2345678 rows, +12345678, +999999999",
    "+0.4512345678, +4.512345678, -73.778139, +40.641311, (40.6413, -73.7781), 40.6413° N, 73.7781° W",
    "+40.6413-073.7781/, +49.4521-123.1234/",
    "0.4111111111111111, 4111111111111111.5, 3.4111111111111111e-5, [4111 1111 1111 1111], 4111111111111112",
    "[4532 1234 1203 1022 1033 5412]\n[2013 2014 2015 2016]\n[5100 5200 5300 5400 5500]",
    "array([[0.12, 0.45], [0.78, 0.01]]), 0.0123 0.0456 0.0789, 012345, 0000012345, r0012",
    "336,776 flights · 16 carriers · 3 origins, 1-2-3-4-5, 1.2.3, 3/4/5, 100-200-3000, 12-345-6789, 123-45-6789",
    "Deng et al. (2013) 123–132, Johari (2017) 1517-1525, doi:10.1145/2433396.2433413, arXiv:1512.04922v3",
    "chi2(12) = 21.03, F(3, 120) = 2.68, t(336) = -1.97, df = 1234567, (0 1), (0, 1], [0, 0.5), (1,234; 5,678)",
    # identifiers
    "EAN 4006381333931, 4012345678901, snowflake 1234567890123456789, 4916338506082832123, ns 4364774400000000",
    "a5f8bf34-6cac-4d2d-8f7c-afc599e4fcc2, 12345678-1234-1234-1234-123456789012, 4111-1111-1111-1111-1111-1111",
    "N14228 N24211 N619AA N804JB, UA1545, AA1141, B6 725, DL0461, 9E3538, BA25 flights, DE12 and AT20 routes",
    "EWR JFK LGA ORD 1400 miles, SKU 0123-4567, order 2013/0517/0830, ZIP 02134-1000, ISBN 978-3-16-148410-0",
    "sha256:a5f8bf346cac12e2d465f79afc599e4fcc26281b4348f6b960090927f5a5e246, cbe8a43, e08f00c, 0x7f3c4a2b9d10",
    "DE88 3704 0044 0532 0130 00, GB82 TEST 1234 5698 7654 32, XX89 3704 0044 0532 0130 00, DE89 3704",
    "00:1a:2b:3c:4d:5e, 52:54:00:12:34:56, ab:cd:ef:01:23:45:67:89:ab:cd:ef:01:23:45:67:89:ab:cd:ef:01",
    # addresses of nobody
    "127.0.0.1:8888, 0.0.0.0, 255.255.255.0, 10.0.0.0/8, 192.168.0.0/16, 169.254.1.1, ::1, fe80::1",
    "duckdb 1.2.3.4, version 10.0.19.1, v 4.18.20.3, opencv-python==4.9.11.80, >=3.12.10.11, 19.3.0.0, 1.10.100.1000",
    "Section 1.2.3.4, § 12.10.11.12, 3.11.7, 2026.7.1, 1.2.3.4.5, 300.1.2.3, 1.2.3, 01.02.03.04, pkg-1.20.30.4.tar.gz",
    "x[2001::5], df.iloc[::2], std::vec::Vec, a::b, dead::beef, 12:30::15, 2013:05:01, 10::20",
    # markup, code and formulas
    r"$\hat{\beta} = (X^\top X)^{-1} X^\top y$, \frac{1}{2}, \alpha_{0}, \text{+49}, $+1$ and $(0.5)$, \u2026 \x1b[0m",
    "SELECT count(*) FROM predictions WHERE occurred_at >= TIMESTAMP '2013-05-01 00:00:00+00' AND score > 0.5 LIMIT 9;",
    "&lt;0.001 &plusmn; 0.3 &ndash; 0.5 &#8230; &copy; 2013 &amp;c &nbsp;&#x2212;0.02",
    '<svg viewBox="0 0 1200 4111" width="640"><path d="M 012.5 034.25 L0171 230.5 4111 1111 1111 1112z"/></svg>',
    '<td style="width:12.5%;color:#012345" colspan="2" data-row="17" data-value="+0.0312">+0.031</td>',
    "<style>#report .a::after{content:'ada@example.org'} @media (min-width:600px){}</style><p>0.5</p>",
    '<img alt="Effects" src="data:image/png;base64,' + base64.b64encode(b"ada@example.org" * 40).decode() + '">',
    "telemetry 12345678, mobile: 12345678, phone: 2345678 requests, fax 3 pages, call 12345678 times, Tel Aviv",
    "https://example.org/a?x=1&y=2#s, http://example.org:8080/2013/05/, s3://bucket/2013/05/01/part-0001.parquet",
    "warning: 03 retries, 0-based, 0/0, 0x0171, 007, 0800, 1-800, 24/7, 50/50, 9-to-5, 1/2/3/4, +/-, ++i, a+1-b",
]
"""Written by hand, one topic a line."""


def drawn(*, seed: int, rounds: int) -> list[str]:
    """Random numbers, identifiers and tables, as reports print them."""
    rng = random.Random(seed)
    texts = []
    for _ in range(rounds):
        day, second = rng.randint(1, 28), rng.randint(0, 59)
        number, big = rng.gauss(0, 10), rng.randint(-(10**9), 10**9)
        digest = hashlib.sha256(str(number).encode()).hexdigest()
        texts += [
            f"{number:.4f} [{number - 1:+.3f}, {number + 1:+.3f}], n = {abs(big):,}, {big:+,d}, p = {rng.random():.4f}",
            f"2013-05-{day:02d} {rng.randint(0, 23):02d}:{second:02d}:{second:02d}.{abs(big)}+00:00",
            f"{uuid.UUID(int=rng.getrandbits(128), version=4)} {digest} {digest[:12]} N{rng.randint(100, 999)}AA",
            f"<tr><td>{number:.2f}</td><td>{number / 3}</td><td>{abs(big)}</td><td>{rng.random():.1%}</td></tr>",
            " ".join(f"{rng.randint(0, 2359):4d}" for _ in range(8)),
            "[" + " ".join(f"{rng.random():.8f}" for _ in range(6)) + "]",
            base64.b64encode(rng.randbytes(300)).decode(),
            f"{rng.randint(1, 30)}.{rng.randint(0, 99)}.{rng.randint(0, 99)}, {number!r}, {big / 7!r}, {number:e}",
        ]
    return texts
