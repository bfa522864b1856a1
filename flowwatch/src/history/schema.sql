-- Times are microseconds since 1970, UTC, unless a comment says otherwise.

-- What holds for the file as a whole.
CREATE TABLE about (
    subject TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE device (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    mac TEXT NOT NULL,                      -- empty where it is not known
    position INTEGER NOT NULL,              -- in the user's order
    UNIQUE (name, mac)
);

-- A text that many rows share: a name, or a chain of names as a JSON array.
CREATE TABLE name (
    id INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
);

CREATE TABLE place (
    id INTEGER PRIMARY KEY,
    country TEXT,
    country_name TEXT,
    city TEXT,
    asn INTEGER,
    organization TEXT
);
CREATE INDEX place_by_content ON place (organization, city, country);

CREATE TABLE destination (
    id INTEGER PRIMARY KEY,
    device INTEGER NOT NULL,
    remote NOT NULL,                        -- IPv4: its 32 bits as an integer; IPv6: 16 octets
    protocol INTEGER NOT NULL,
    port INTEGER NOT NULL,
    place INTEGER,                          -- as of its last packet
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL
);
CREATE UNIQUE INDEX destination_by_content ON destination (remote, device, protocol, port);

-- Where a destination was until that moment, where the databases have changed their mind.
CREATE TABLE former_place (
    destination INTEGER,
    until INTEGER,
    place INTEGER,
    PRIMARY KEY (destination, until)
) WITHOUT ROWID;

-- What a destination went by.
CREATE TABLE naming (
    destination INTEGER,
    name INTEGER,
    source TEXT,
    first_told INTEGER NOT NULL,
    last_told INTEGER NOT NULL,
    ttl INTEGER,                            -- seconds; NULL for what the device said itself
    chain INTEGER,                          -- a name: JSON array of the names that it is an alias of
    asked INTEGER,                          -- whether the device was seen to ask for it; NULL: not known
    alpn TEXT,                              -- JSON array, by service bindings; NULL without any
    ech INTEGER,
    PRIMARY KEY (destination, name, source)
) WITHOUT ROWID;

-- What passed, by destination and minute, hour and day of UTC.
CREATE TABLE minute (
    key INTEGER PRIMARY KEY,                -- minutes since 2025 << 30 | destination
    up_packets INTEGER NOT NULL,
    up_octets INTEGER NOT NULL,
    down_packets INTEGER NOT NULL,
    down_octets INTEGER NOT NULL,
    starts_at INTEGER AS ((key >> 30) * 60 + 1735689600), -- seconds since 1970
    destination INTEGER AS (key & 0x3fffffff)
);
CREATE TABLE hour (
    key INTEGER PRIMARY KEY,
    up_packets INTEGER NOT NULL,
    up_octets INTEGER NOT NULL,
    down_packets INTEGER NOT NULL,
    down_octets INTEGER NOT NULL,
    starts_at INTEGER AS ((key >> 30) * 3600 + 1735689600),
    destination INTEGER AS (key & 0x3fffffff)
);
CREATE TABLE day (
    key INTEGER PRIMARY KEY,
    up_packets INTEGER NOT NULL,
    up_octets INTEGER NOT NULL,
    down_packets INTEGER NOT NULL,
    down_octets INTEGER NOT NULL,
    starts_at INTEGER AS ((key >> 30) * 86400 + 1735689600),
    destination INTEGER AS (key & 0x3fffffff)
);

-- Hours whose minutes, and days whose hours, are still to be summed.
CREATE TABLE unsummed (
    step TEXT,
    bucket INTEGER,                         -- hours, or days, since 1970
    PRIMARY KEY (step, bucket)
) WITHOUT ROWID;

-- The same by device, with what is in no flow. Buckets are minutes, hours or days since 1970.
CREATE TABLE device_minute (
    bucket INTEGER,
    device INTEGER,
    direction TEXT,
    packets INTEGER NOT NULL,               -- in flows
    octets INTEGER NOT NULL,
    overflow_packets INTEGER NOT NULL,      -- in no flow, for want of room
    overflow_octets INTEGER NOT NULL,
    frames_seen INTEGER NOT NULL,
    l2_octets_seen INTEGER NOT NULL,
    frames_in_flows INTEGER NOT NULL,
    PRIMARY KEY (bucket, device, direction)
) WITHOUT ROWID;
CREATE TABLE device_hour (
    bucket INTEGER,
    device INTEGER,
    direction TEXT,
    packets INTEGER NOT NULL,
    octets INTEGER NOT NULL,
    overflow_packets INTEGER NOT NULL,
    overflow_octets INTEGER NOT NULL,
    frames_seen INTEGER NOT NULL,
    l2_octets_seen INTEGER NOT NULL,
    frames_in_flows INTEGER NOT NULL,
    PRIMARY KEY (bucket, device, direction)
) WITHOUT ROWID;
CREATE TABLE device_day (
    bucket INTEGER,
    device INTEGER,
    direction TEXT,
    packets INTEGER NOT NULL,
    octets INTEGER NOT NULL,
    overflow_packets INTEGER NOT NULL,
    overflow_octets INTEGER NOT NULL,
    frames_seen INTEGER NOT NULL,
    l2_octets_seen INTEGER NOT NULL,
    frames_in_flows INTEGER NOT NULL,
    PRIMARY KEY (bucket, device, direction)
) WITHOUT ROWID;

-- Frames in no flow, by reason.
CREATE TABLE unaccounted_minute (
    bucket INTEGER,
    device INTEGER,
    direction TEXT,
    reason TEXT,
    frames INTEGER NOT NULL,
    l2_octets INTEGER NOT NULL,
    PRIMARY KEY (bucket, device, direction, reason)
) WITHOUT ROWID;
CREATE TABLE unaccounted_hour (
    bucket INTEGER,
    device INTEGER,
    direction TEXT,
    reason TEXT,
    frames INTEGER NOT NULL,
    l2_octets INTEGER NOT NULL,
    PRIMARY KEY (bucket, device, direction, reason)
) WITHOUT ROWID;
CREATE TABLE unaccounted_day (
    bucket INTEGER,
    device INTEGER,
    direction TEXT,
    reason TEXT,
    frames INTEGER NOT NULL,
    l2_octets INTEGER NOT NULL,
    PRIMARY KEY (bucket, device, direction, reason)
) WITHOUT ROWID;

-- What was turned away, by hour.
CREATE TABLE loss (
    bucket INTEGER,                         -- hours since 1970
    kind TEXT,
    amount INTEGER NOT NULL,
    PRIMARY KEY (bucket, kind)
) WITHOUT ROWID;

-- When programs were attached to which interface.
CREATE TABLE attachment (
    id INTEGER PRIMARY KEY,
    interface TEXT NOT NULL,
    ingress TEXT NOT NULL,
    egress TEXT NOT NULL,
    reason TEXT NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER NOT NULL
);

-- Which databases places were from.
CREATE TABLE geo_database (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    built INTEGER,
    attribution TEXT,
    since INTEGER NOT NULL,
    until INTEGER NOT NULL
);

-- Which flowwatch recorded.
CREATE TABLE program (
    id INTEGER PRIMARY KEY,
    version TEXT NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER NOT NULL
);

-- Sets of kernel maps, and how much of each is recorded.
CREATE TABLE generation (
    id INTEGER PRIMARY KEY,                 -- random
    serial INTEGER NOT NULL,                -- of its last epoch that is recorded
    epochs INTEGER NOT NULL,
    since INTEGER NOT NULL,                 -- the end of its first epoch
    until INTEGER NOT NULL,                 -- the end of its last
    is_over INTEGER NOT NULL
);
CREATE TABLE generation_device (
    generation INTEGER,
    device INTEGER,
    -- What the kernel says that it added to flows, less what was recorded of them.
    up_packets_missing INTEGER NOT NULL,
    up_octets_missing INTEGER NOT NULL,
    down_packets_missing INTEGER NOT NULL,
    down_octets_missing INTEGER NOT NULL,
    totals BLOB NOT NULL,                   -- flowwatch's own: what is recorded of the kernel's totals
    PRIMARY KEY (generation, device)
) WITHOUT ROWID;

-- To be read by people.
CREATE VIEW destinations AS
SELECT
    destination.id AS destination,
    device.name AS device,
    CASE typeof(remote)
        WHEN 'integer' THEN format('%d.%d.%d.%d', remote >> 24, remote >> 16 & 255, remote >> 8 & 255, remote & 255)
        ELSE lower(format('%s:%s:%s:%s:%s:%s:%s:%s',
            substr(hex(remote), 1, 4), substr(hex(remote), 5, 4), substr(hex(remote), 9, 4), substr(hex(remote), 13, 4),
            substr(hex(remote), 17, 4), substr(hex(remote), 21, 4), substr(hex(remote), 25, 4), substr(hex(remote), 29, 4)))
    END AS remote_address,
    protocol,
    port AS remote_port,
    (SELECT group_concat(text, '|') FROM (
        SELECT DISTINCT text FROM naming JOIN name ON name.id = naming.name
        WHERE naming.destination = destination.id ORDER BY last_told DESC)) AS names,
    country,
    city,
    asn,
    organization,
    strftime('%Y-%m-%dT%H:%M:%fZ', first_seen / 1e6, 'unixepoch') AS first_seen,
    strftime('%Y-%m-%dT%H:%M:%fZ', last_seen / 1e6, 'unixepoch') AS last_seen
FROM destination
JOIN device ON device.id = destination.device
LEFT JOIN place ON place.id = destination.place;
