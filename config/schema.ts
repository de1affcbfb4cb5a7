import { Type, type Static } from 'typebox';

/**
 * Every setting of Rostrum, declared once: the loader, the reference and the sample file are made from this.
 *
 * Annotations beside plain JSON Schema, read by `leaves.ts`:
 * - `env`: the environment variable that sets this key;
 * - `secret`: never shown in messages, logs or the result of `redactConfig()`;
 * - `expects`: how to say in words what the pattern asks for;
 * - `defaultFrom`: how a default is found that depends on other things.
 */
const section = { additionalProperties: false } as const;
const port = { minimum: 1, maximum: 65_535 } as const;
const dayS = 86_400;

const OpusPackingMs = [20, 40, 60, 120] as const;

export const ForeignIssuerSchema = Type.Object({
	issuer: Type.String({ description: 'The `iss` claim, exactly as the provider writes it.', minLength: 1, maxLength: 512 }),
	jwksUrl: Type.String({
		description: 'Where the provider publishes its keys. https, or http on a loopback address: whoever can change this answer can make tokens.',
		expects: 'an https:// address (http:// only on loopback)',
		pattern: '^https?://[^\\s]+$',
		maxLength: 2048,
	}),
	audience: Type.String({ description: 'The `aud` claim the provider writes for Rostrum.', minLength: 1, maxLength: 512 }),
	algorithms: Type.Array(Type.Enum(['EdDSA', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512', 'RS256', 'RS384', 'RS512']), {
		description: 'Signature algorithms taken from this issuer.',
		default: ['EdDSA', 'ES256', 'RS256'],
		minItems: 1,
		uniqueItems: true,
	}),
	roleClaim: Type.String({ description: 'Name of the claim that holds the role.', default: 'rostrum_role', minLength: 1, maxLength: 256 }),
	roomClaim: Type.String({ description: 'Name of the claim that holds the room id.', default: 'rostrum_room', minLength: 1, maxLength: 256 }),
	allowAdmin: Type.Boolean({ description: 'Whether this issuer may make admins.', default: false }),
}, section);

export const ConfigSchema = Type.Object({
	http: Type.Object({
		host: Type.String({
			env: 'ROSTRUM_HTTP_HOST', default: '127.0.0.1', pattern: '^[A-Za-z0-9._:-]{1,253}$', expects: 'an address or a host name',
			description: 'Address the API and the pages listen on. 0.0.0.0 or :: for every address of this machine.',
		}),
		port: Type.Integer({
			env: 'ROSTRUM_HTTP_PORT', default: 3000, minimum: 0, maximum: 65_535,
			description: 'TCP port of the API and the pages; 0 takes any free one.',
		}),
		publicUrl: Type.Optional(Type.String({
			env: 'ROSTRUM_PUBLIC_URL', pattern: '^https?://[^\\s/?#@]+(/[^\\s?#]*)?$', maxLength: 2048,
			expects: 'an http:// or https:// address without query', defaultFrom: 'made from host and port once listening',
			examples: ['https://rooms.example.org'],
			description: 'Address under which people reach this server; links handed out begin with it.',
		})),
		trustProxy: Type.Union([Type.Boolean(), Type.Array(Type.String({ minLength: 1, maxLength: 64 }), { minItems: 1 })], {
			env: 'ROSTRUM_HTTP_TRUST_PROXY', default: false, expects: 'true, false or a list of addresses (10.0.0.0/8 style ranges too)',
			description: 'Whose X-Forwarded-* headers are believed: nobody (false), everybody (true), or the listed addresses and ranges.',
		}),
		bodyLimitBytes: Type.Integer({
			env: 'ROSTRUM_HTTP_BODY_LIMIT_BYTES', default: 65_536, minimum: 4096, maximum: 16_777_216,
			description: 'Largest request body; anything longer is answered with 413.',
		}),
		corsOrigins: Type.Union([Type.Literal('*'), Type.Array(Type.String({ pattern: '^https?://[^\\s/?#@]+$' }))], {
			env: 'ROSTRUM_HTTP_CORS_ORIGINS', default: '*', expects: '"*" or a list of origins such as https://example.org',
			description: 'Web origins whose pages may call the API; pages of the nodes of a cluster may in any case. Tokens travel in headers and never in cookies, so "*" gives nothing away. ' +
				'Where nodes have public URLs of their own, pages of other sites need "*": after a 307 to another node browsers send "Origin: null".',
		}),
		embedOrigins: Type.Union([Type.Literal('*'), Type.Array(Type.String({ pattern: '^https?://(\\*\\.)?[A-Za-z0-9.-]+(:[0-9]{1,5})?$' }), { maxItems: 256 })], {
			env: 'ROSTRUM_HTTP_EMBED_ORIGINS', default: [], expects: '"*" or a list of origins such as https://news.example.org or https://*.example.org',
			description: 'Web origins whose pages may show the small player (`/embed/ROOM`, `/embed.js`) in a frame; none: nobody else’s. No other page of this server can be framed.',
		}),
		maxEventStreams: Type.Integer({
			env: 'ROSTRUM_HTTP_MAX_EVENT_STREAMS', default: 20_000, minimum: 0, maximum: 1_000_000,
			description: 'Event streams (SSE) this node holds open at once; further ones are refused with 503.',
		}),
	}, { ...section, description: 'The API and the pages' }),

	nodeId: Type.Optional(Type.String({
		env: 'ROSTRUM_NODE_ID', pattern: '^[a-z0-9-]{1,32}$', expects: '1 to 32 characters of a-z, 0-9 and -',
		defaultFrom: 'made once and kept in the data folder', examples: ['node-a'],
		description: 'Name of this node within its cluster.',
	})),
	dataDir: Type.String({
		env: 'ROSTRUM_DATA_DIR', default: './data', minLength: 1, maxLength: 1024,
		description: 'Folder for keys, rooms and recordings; relative to the folder Rostrum is started in.',
	}),

	log: Type.Object({
		level: Type.Enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
			env: 'LOG_LEVEL', default: 'info', description: 'Least serious message that is logged.',
		}),
		pretty: Type.Union([Type.Boolean(), Type.Literal('auto')], {
			env: 'ROSTRUM_LOG_PRETTY', default: 'auto',
			description: 'Lines for people (true) or JSON (false); auto: for people when standard output is a terminal.',
		}),
	}, { ...section, description: 'Logging' }),

	admin: Type.Object({
		token: Type.Optional(Type.String({
			env: 'ROSTRUM_ADMIN_TOKEN', secret: true, pattern: '^[\\x21-\\x7e]{32,512}$', expects: '32 to 512 visible ASCII characters',
			defaultFrom: 'none: only signed tokens act as admin', examples: ['CHANGE'],
			description: 'A bearer token that acts as admin (openssl rand -hex 32 makes a good one).',
		})),
	}, { ...section, description: 'Operating' }),

	auth: Type.Object({
		issuer: Type.String({
			env: 'ROSTRUM_AUTH_ISSUER', default: 'rostrum', minLength: 1, maxLength: 512, description: 'The `iss` claim of tokens made here.',
		}),
		audience: Type.String({
			env: 'ROSTRUM_AUTH_AUDIENCE', default: 'rostrum', minLength: 1, maxLength: 512,
			description: 'The `aud` claim of tokens made and taken here.',
		}),
		tokenTtlSeconds: Type.Integer({
			env: 'ROSTRUM_AUTH_TOKEN_TTL_SECONDS', default: dayS, minimum: 1, maximum: 366 * dayS,
			description: 'How long a token lives when its maker does not say.',
		}),
		maxTokenTtlSeconds: Type.Integer({
			env: 'ROSTRUM_AUTH_MAX_TOKEN_TTL_SECONDS', default: 90 * dayS, minimum: 1, maximum: 366 * dayS,
			description: 'Longest life of a token. Longer ones are neither made nor taken, whoever signed them.',
		}),
		clockToleranceSeconds: Type.Integer({
			env: 'ROSTRUM_AUTH_CLOCK_TOLERANCE_SECONDS', default: 5, minimum: 0, maximum: 300,
			description: 'How far the clocks of an issuer and this node may differ.',
		}),
		foreignIssuers: Type.Array(ForeignIssuerSchema, {
			env: 'ROSTRUM_AUTH_FOREIGN_ISSUERS', default: [], maxItems: 16,
			examples: [[{ issuer: 'https://login.example.org/', jwksUrl: 'https://login.example.org/jwks.json', audience: 'rostrum' }]],
			description: 'OpenID Connect providers whose tokens are taken too.',
		}),
	}, { ...section, description: 'Tokens' }),

	sfu: Type.Object({
		listenerShards: Type.Integer({
			env: 'ROSTRUM_LISTENER_SHARDS', minimum: 1, maximum: 256, defaultFrom: 'cores − 1, at least 1', examples: [3],
			description: 'Child processes that carry listeners.',
		}),
		stageShards: Type.Integer({
			env: 'ROSTRUM_STAGE_SHARDS', default: 1, minimum: 1, maximum: 64, description: 'Child processes that carry speakers.',
		}),
		spareShards: Type.Integer({
			env: 'ROSTRUM_SFU_SPARE_SHARDS', default: 1, minimum: 0, maximum: 16,
			description: 'Warm processes that wait to take the place and the port of a dead one.',
		}),
		rehearsalJoins: Type.Integer({
			env: 'ROSTRUM_SFU_REHEARSAL_JOINS', default: 800, minimum: 0, maximum: 10_000,
			description: 'Joins of nobody that a listener shard or a spare makes when it has started, and speaks to, so that its code is compiled when a crowd comes: under a second of processor time. It stops when somebody real comes. 0: none.',
		}),
		spareTransports: Type.Integer({
			env: 'ROSTRUM_SFU_SPARE_TRANSPORTS', default: 512, minimum: 0, maximum: 10_000,
			description: 'Transports that a listener shard makes ahead of a crowd: as many as are expected in a room, or ten for each who listens, up to these for all its rooms. Each takes 80 KB, and spares a join in a storm most of its work. None are made while the shard or its worker is more than 60 % busy. 0: none.',
		}),
		mediaPort: Type.Integer({
			env: 'ROSTRUM_MEDIA_PORT', default: 40_000, ...port,
			description: 'Shard n uses the n-th port from here, UDP and TCP, stage shards first.',
		}),
		mediaAddress: Type.String({
			env: 'ROSTRUM_MEDIA_ADDRESS', pattern: '^(auto|[0-9A-Fa-f.:]{2,45})$', expects: 'an IP address or auto',
			defaultFrom: '127.0.0.1 when `http.host` is loopback, else auto', examples: ['auto'],
			description: 'Address media is received on; auto: every address of this machine.',
		}),
		announcedAddress: Type.Optional(Type.String({
			env: 'ROSTRUM_ANNOUNCED_ADDRESS', pattern: '^[A-Za-z0-9._:-]{1,253}$', expects: 'an IP address or a host name',
			defaultFrom: 'the address listened on', examples: ['203.0.113.7'],
			description: 'Address told to browsers when it differs from the one listened on, as behind NAT.',
		})),
		linkPortMin: Type.Integer({
			env: 'ROSTRUM_SFU_LINK_PORT_MIN', default: 41_000, ...port, description: 'First UDP port of the links between shards.',
		}),
		linkPortMax: Type.Integer({
			env: 'ROSTRUM_SFU_LINK_PORT_MAX', default: 41_999, ...port, description: 'Last UDP port of the links between shards.',
		}),
		requestTimeoutMs: Type.Integer({
			env: 'ROSTRUM_SFU_REQUEST_TIMEOUT_MS', default: 5000, minimum: 100, maximum: 60_000,
			description: 'How long a shard may take to answer before it counts as failed.',
		}),
		maxListenersPerShard: Type.Integer({
			env: 'ROSTRUM_SFU_MAX_LISTENERS_PER_SHARD', default: 5000, minimum: 1, maximum: 100_000,
			description: 'Listeners one shard takes at most.',
		}),
		iceConsentTimeoutSeconds: Type.Integer({
			env: 'ROSTRUM_SFU_ICE_CONSENT_TIMEOUT_SECONDS', default: 30, minimum: 5, maximum: 60,
			description: 'A peer that stays silent for this long is gone.',
		}),
		connectTimeoutMs: Type.Integer({
			env: 'ROSTRUM_SFU_CONNECT_TIMEOUT_MS', default: 15_000, minimum: 1000, maximum: 120_000,
			description: 'A session that has not connected after this long is closed.',
		}),
		workerLogLevel: Type.Enum(['debug', 'warn', 'error', 'none'], {
			env: 'ROSTRUM_SFU_WORKER_LOG_LEVEL', default: 'warn', description: 'Least serious message of the mediasoup workers that is logged.',
		}),
	}, { ...section, description: 'Media: shards, ports, limits' }),

	rooms: Type.Object({
		demo: Type.Boolean({
			env: 'ROSTRUM_ROOMS_DEMO', default: true, description: 'Make a demo room at the first start and print its links.',
		}),
		defaultVoices: Type.Integer({
			env: 'ROSTRUM_ROOMS_DEFAULT_VOICES', default: 3, minimum: 1, maximum: 8,
			description: 'Voices (people heard at once) of a room that does not say.',
		}),
		autoPacking: Type.Object({
			thresholdListeners: Type.Integer({
				env: 'ROSTRUM_ROOMS_AUTO_PACKING_THRESHOLD_LISTENERS', default: 200, minimum: 1, maximum: 1_000_000,
				description: 'From this many listeners on a room is packed by `largeMs`.',
			}),
			smallMs: Type.Enum(OpusPackingMs, {
				env: 'ROSTRUM_ROOMS_AUTO_PACKING_SMALL_MS', default: 20, description: 'Audio per packet below the threshold.',
			}),
			largeMs: Type.Enum(OpusPackingMs, {
				env: 'ROSTRUM_ROOMS_AUTO_PACKING_LARGE_MS', default: 60, description: 'Audio per packet from the threshold on.',
			}),
		}, { ...section, description: 'Packing of rooms set to auto' }),
		reconnectGraceMs: Type.Integer({
			env: 'ROSTRUM_ROOMS_RECONNECT_GRACE_MS', default: 10_000, minimum: 0, maximum: 300_000,
			description: 'How long a speaker whose socket was lost keeps the place on stage.',
		}),
		maxStageSize: Type.Integer({
			env: 'ROSTRUM_ROOMS_MAX_STAGE_SIZE', default: 50, minimum: 1, maximum: 200, description: 'People on stage at most, hosts included.',
		}),
		maxHands: Type.Integer({
			env: 'ROSTRUM_ROOMS_MAX_HANDS', default: 1000, minimum: 1, maximum: 10_000,
			description: 'Hands that may be up at once in a room, open invitations with them.',
		}),
	}, { ...section, description: 'Rooms' }),

	audience: Type.Object({
		reactions: Type.Array(Type.String({ minLength: 1, maxLength: 32, pattern: '^[^\\s\\x00-\\x1f<>"]+$' }), {
			env: 'ROSTRUM_AUDIENCE_REACTIONS', default: ['👏', '❤️', '😂', '👍', '🔥', '🎉'], maxItems: 16, uniqueItems: true, expects: 'a list of emoji',
			description: 'What listeners may react with, in the order in which it is offered; none: no reactions.',
		}),
		reactionsPerPerson: Type.Integer({
			env: 'ROSTRUM_AUDIENCE_REACTIONS_PER_PERSON', default: 20, minimum: 1, maximum: 10_000,
			description: 'Reactions one person may give in ten seconds.',
		}),
		guestsPerAddress: Type.Integer({
			env: 'ROSTRUM_AUDIENCE_GUESTS_PER_ADDRESS', default: 300, minimum: 1, maximum: 1_000_000,
			description: 'Guest tokens one address may ask for in ten seconds; `admission.unlimitedAddresses` have no limit here either. Many people can stand behind one address.',
		}),
		reportsPerPerson: Type.Integer({
			env: 'ROSTRUM_AUDIENCE_REPORTS_PER_PERSON', default: 5, minimum: 1, maximum: 1000,
			description: 'Problems one person may report in ten minutes.',
		}),
	}, { ...section, description: 'What listeners give back' }),

	admission: Type.Object({
		maxJoinsUnderWayPerShard: Type.Integer({
			env: 'ROSTRUM_ADMISSION_MAX_JOINS_UNDER_WAY_PER_SHARD', default: 32, minimum: 1, maximum: 1024,
			description: 'Joins one shard works on at once, at most; how many it really takes follows from how fast it answers.',
		}),
		maxWaitMs: Type.Integer({
			env: 'ROSTRUM_ADMISSION_MAX_WAIT_MS', default: 1500, minimum: 0, maximum: 30_000,
			description: 'How long a join may wait for its turn before it is told to come back later, or to hear the overflow stream.',
		}),
		joinsPerAddress: Type.Integer({
			env: 'ROSTRUM_ADMISSION_JOINS_PER_ADDRESS', default: 600, minimum: 1, maximum: 1_000_000,
			description: 'Joins one address may begin in ten seconds. Many people can stand behind one address: be generous.',
		}),
		joinsPerToken: Type.Integer({
			env: 'ROSTRUM_ADMISSION_JOINS_PER_TOKEN', default: 60, minimum: 1, maximum: 1_000_000,
			description: 'Joins one token may begin in ten seconds.',
		}),
		unlimitedAddresses: Type.Array(Type.String({ pattern: '^[0-9A-Fa-f.:]{2,45}(/[0-9]{1,3})?$' }), {
			env: 'ROSTRUM_ADMISSION_UNLIMITED_ADDRESSES', default: ['127.0.0.0/8', '::1'], maxItems: 256, expects: 'a list of addresses and ranges such as 10.0.0.0/8',
			description: 'Addresses without a limit of their own, such as a proxy that does not say for whom it asks. Tokens keep theirs.',
		}),
	}, { ...section, description: 'Who is let in, and when' }),

	pressure: Type.Object({
		packing: Type.Boolean({
			env: 'ROSTRUM_PRESSURE_PACKING', default: true,
			description: 'Whether a shard under pressure packs rooms set to auto more than their audience asks for (up to 120 ms) before anybody is turned away.',
		}),
		events: Type.Boolean({
			env: 'ROSTRUM_PRESSURE_EVENTS', default: true,
			description: 'Whether counts and reactions are told less often while this node is under pressure.',
		}),
	}, { ...section, description: 'What gives way before listeners do' }),

	overflow: Type.Object({
		enabled: Type.Boolean({
			env: 'ROSTRUM_OVERFLOW_ENABLED', default: true,
			description: 'Whether those for whom no shard has a place hear the room by HLS. Needs ffmpeg on the nodes that rooms live on.',
		}),
		ffmpegPath: Type.String({
			env: 'ROSTRUM_OVERFLOW_FFMPEG_PATH', default: 'ffmpeg', minLength: 1, maxLength: 1024,
			description: 'The ffmpeg program: a path, or a name to look for in PATH.',
		}),
		bitrateKbps: Type.Integer({
			env: 'ROSTRUM_OVERFLOW_BITRATE_KBPS', default: 64, minimum: 24, maximum: 320, description: 'Of the AAC stream, mono.',
		}),
		lingerMs: Type.Integer({
			env: 'ROSTRUM_OVERFLOW_LINGER_MS', default: 60_000, minimum: 1000, maximum: 3_600_000,
			description: 'How long the stream of a room goes on after the last request for it.',
		}),
		warmAtFill: Type.Number({
			env: 'ROSTRUM_OVERFLOW_WARM_AT_FILL', default: 0.7, minimum: 0, maximum: 1,
			description: 'Part of all places taken from which on the streams of live rooms are made ready, so that nobody waits for their start; 1: only when asked for.',
		}),
	}, { ...section, description: 'HLS for those whom no shard can take' }),

	webhooks: Type.Object({
		allowPrivateAddresses: Type.Boolean({
			env: 'ROSTRUM_WEBHOOKS_ALLOW_PRIVATE_ADDRESSES', default: false,
			description: 'Whether events may be sent to private, loopback and link-local addresses, and without TLS: for receivers in the same network. Whoever is admin can then make this server send requests there.',
		}),
		timeoutMs: Type.Integer({
			env: 'ROSTRUM_WEBHOOKS_TIMEOUT_MS', default: 10_000, minimum: 100, maximum: 60_000,
			description: 'How long a receiver may take to answer.',
		}),
		firstRetryMs: Type.Integer({
			env: 'ROSTRUM_WEBHOOKS_FIRST_RETRY_MS', default: 10_000, minimum: 10, maximum: 3_600_000,
			description: 'Longest pause after the first failed attempt; each further one is up to twice as long, up to six hours.',
		}),
		maxAttempts: Type.Integer({
			env: 'ROSTRUM_WEBHOOKS_MAX_ATTEMPTS', default: 16, minimum: 1, maximum: 100,
			description: 'Attempts to deliver an event before it is given up, until somebody retries it. The default goes on for about half a day.',
		}),
	}, { ...section, description: 'Telling other programs of events' }),

	audit: Type.Object({
		keepDays: Type.Integer({
			env: 'ROSTRUM_AUDIT_KEEP_DAYS', default: 400, minimum: 1, maximum: 36_500,
			description: 'How long the log of who did what is kept on each node.',
		}),
	}, { ...section, description: 'The log of privileged acts' }),

	recording: Type.Object({
		enabled: Type.Boolean({
			env: 'ROSTRUM_RECORDING_ENABLED', default: true,
			description: 'Whether hosts may record. Needs ffmpeg on the nodes that rooms live on, to mix what was recorded.',
		}),
		ffmpegPath: Type.String({
			env: 'ROSTRUM_RECORDING_FFMPEG_PATH', default: 'ffmpeg', minLength: 1, maxLength: 1024,
			description: 'The ffmpeg program: a path, or a name to look for in PATH.',
		}),
		opusKbps: Type.Integer({
			env: 'ROSTRUM_RECORDING_OPUS_KBPS', default: 48, minimum: 16, maximum: 256, description: 'Of the replay in Opus, mono.',
		}),
		aacKbps: Type.Integer({
			env: 'ROSTRUM_RECORDING_AAC_KBPS', default: 80, minimum: 24, maximum: 320, description: 'Of the replay in AAC, mono.',
		}),
		keepDays: Type.Integer({
			env: 'ROSTRUM_RECORDING_KEEP_DAYS', default: 90, minimum: 0, maximum: 36_500,
			description: 'How long recordings are kept before they are deleted; 0: until somebody deletes them.',
		}),
		maxHours: Type.Integer({
			env: 'ROSTRUM_RECORDING_MAX_HOURS', default: 24, minimum: 1, maximum: 168,
			description: 'A recording that nobody stops ends after so long.',
		}),
		reserveMb: Type.Integer({
			env: 'ROSTRUM_RECORDING_RESERVE_MB', default: 256, minimum: 0, maximum: 1_000_000,
			description: 'So much of the disk recordings leave free: when there is less they pause, and go on by themselves once there is room. Rooms, the audit log and webhooks write to the same disk.',
		}),
		storage: Type.Enum(['disk', 's3'], {
			env: 'ROSTRUM_RECORDING_STORAGE', default: 'disk',
			description: 'Where finished recordings are kept: in the data folder of the node that finished them, or in a bucket of an S3-compatible service. What is being recorded is on disk in any case.',
		}),
		s3: Type.Object({
			endpoint: Type.Optional(Type.String({
				env: 'ROSTRUM_RECORDING_S3_ENDPOINT', pattern: '^https?://[^\\s/?#@]+(/[^\\s?#]*)?$', maxLength: 2048, expects: 'an http:// or https:// address',
				defaultFrom: 'the one of AWS for the region', examples: ['https://s3.example.org'], description: 'Address of the service.',
			})),
			region: Type.String({
				env: 'ROSTRUM_RECORDING_S3_REGION', default: 'us-east-1', minLength: 1, maxLength: 64, description: 'Its region; services that have none take any.',
			}),
			bucket: Type.Optional(Type.String({
				env: 'ROSTRUM_RECORDING_S3_BUCKET', pattern: '^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$', expects: 'a name of 3 to 63 lower-case letters, digits, dots and dashes',
				defaultFrom: 'none', examples: ['recordings'], description: 'The bucket, which must be there.',
			})),
			prefix: Type.String({
				env: 'ROSTRUM_RECORDING_S3_PREFIX', default: 'recordings/', pattern: '^([A-Za-z0-9._-]+/)*$', maxLength: 256, expects: 'nothing, or folder names that end in /',
				description: 'What the names of all objects begin with.',
			}),
			accessKeyId: Type.Optional(Type.String({
				env: 'ROSTRUM_RECORDING_S3_ACCESS_KEY_ID', minLength: 1, maxLength: 256, defaultFrom: 'where the AWS SDK looks for it', examples: ['CHANGE'],
				description: 'Name of the access key.',
			})),
			secretAccessKey: Type.Optional(Type.String({
				env: 'ROSTRUM_RECORDING_S3_SECRET_ACCESS_KEY', secret: true, minLength: 1, maxLength: 512, defaultFrom: 'where the AWS SDK looks for it', examples: ['CHANGE'],
				description: 'The access key itself.',
			})),
			pathStyle: Type.Boolean({
				env: 'ROSTRUM_RECORDING_S3_PATH_STYLE', default: true,
				description: 'Whether the bucket stands in the path of addresses (most services besides AWS) or in the host name.',
			}),
		}, { ...section, description: 'Bucket for recordings' }),
	}, { ...section, description: 'Recordings and replay' }),

	doors: Type.Object({
		prewarmMs: Type.Integer({
			env: 'ROSTRUM_DOORS_PREWARM_MS', default: 60_000, minimum: 0, maximum: 3_600_000,
			description: 'How long before the doors open a room with `expectedListeners` gets its edges and links on the shards it will need.',
		}),
		endWarningMs: Type.Integer({
			env: 'ROSTRUM_DOORS_END_WARNING_MS', default: 300_000, minimum: 0, maximum: 3_600_000,
			description: 'How long before a room ends by itself (`endsAt`, `maxDurationMinutes`) people in it are told; a host can put it off.',
		}),
	}, { ...section, description: 'What rooms do by their plan' }),

	turn: Type.Object({
		urls: Type.Array(Type.String({ pattern: '^(stuns?|turns?):[^\\s?]+(\\?transport=(udp|tcp))?$', maxLength: 512 }), {
			env: 'ROSTRUM_TURN_URLS', default: [], maxItems: 16, expects: 'a list of addresses such as turn:turn.example.org:3478?transport=udp',
			examples: [['turn:turn.example.org:3478?transport=udp', 'turns:turn.example.org:5349?transport=tcp']],
			description: 'TURN and STUN servers told to browsers; none: TURN is off.',
		}),
		secret: Type.Optional(Type.String({
			env: 'ROSTRUM_TURN_SECRET', secret: true, minLength: 8, maxLength: 512, expects: '8 to 512 characters',
			defaultFrom: 'none', examples: ['CHANGE'],
			description: 'Shared with the TURN server (coturn: `use-auth-secret`, `static-auth-secret`).',
		})),
		ttlSeconds: Type.Integer({
			env: 'ROSTRUM_TURN_TTL_SECONDS', default: dayS, minimum: 60, maximum: 7 * dayS,
			description: 'How long TURN credentials are good for; longer than the longest event.',
		}),
	}, { ...section, description: 'TURN' }),

	quality: Type.Object({
		sampleRatio: Type.Number({
			env: 'ROSTRUM_QUALITY_SAMPLE_RATIO', default: 0.1, minimum: 0, maximum: 1,
			description: 'Part of the listeners whose pages tell now and then how well they hear (counts alone, nothing about who they are); 0: nobody is asked.',
		}),
		maxReporters: Type.Integer({
			env: 'ROSTRUM_QUALITY_MAX_REPORTERS', default: 500, minimum: 1, maximum: 100_000,
			description: 'Listeners of a node who tell so, at most: the more listen, the smaller the part that is asked.',
		}),
		intervalMs: Type.Integer({
			env: 'ROSTRUM_QUALITY_INTERVAL_MS', default: 30_000, minimum: 1000, maximum: 600_000, description: 'Between two reports of one listener.',
		}),
		reportsPerAddress: Type.Integer({
			env: 'ROSTRUM_QUALITY_REPORTS_PER_ADDRESS', default: 60, minimum: 1, maximum: 1_000_000,
			description: 'Reports one address may send in ten seconds; `admission.unlimitedAddresses` have no limit here either.',
		}),
	}, { ...section, description: 'How well listeners hear, as they tell' }),

	tracing: Type.Object({
		endpoint: Type.Optional(Type.String({
			env: 'ROSTRUM_TRACING_ENDPOINT', pattern: '^https?://[^\\s/?#@]+(/[^\\s?#]*)?$', maxLength: 2048,
			expects: 'an http:// or https:// address without query', defaultFrom: 'none: tracing is off', examples: ['http://127.0.0.1:4318/v1/traces'],
			description: 'Where traces are sent to: the whole address of an OpenTelemetry collector that takes OTLP over HTTP.',
		})),
		headers: Type.Array(Type.String({ pattern: '^[A-Za-z0-9_.-]{1,128}=[\\x20-\\x7e]{0,2048}$' }), {
			env: 'ROSTRUM_TRACING_HEADERS', secret: true, default: [], maxItems: 16, expects: 'a list such as Authorization=Bearer CHANGE',
			description: 'Headers that the collector asks for. Treated as a secret.',
		}),
		sampleRatio: Type.Number({
			env: 'ROSTRUM_TRACING_SAMPLE_RATIO', default: 0.01, minimum: 0, maximum: 1,
			description: 'Part of the requests that are traced; a request that another node passed on is traced if it was there.',
		}),
		continueIncoming: Type.Boolean({
			env: 'ROSTRUM_TRACING_CONTINUE_INCOMING', default: false,
			description: 'Whether the traceparent header of people’s requests counts, for a proxy of your own that begins traces. From anybody else it lets callers decide what is traced.',
		}),
		serviceName: Type.String({ env: 'ROSTRUM_TRACING_SERVICE_NAME', default: 'rostrum', minLength: 1, maxLength: 128, description: 'The `service.name` of the spans.' }),
	}, { ...section, description: 'OpenTelemetry traces' }),

	shutdown: Type.Object({
		deadlineMs: Type.Integer({
			env: 'ROSTRUM_SHUTDOWN_DEADLINE_MS', default: 10_000, minimum: 100, maximum: 600_000, description: 'From SIGTERM to the end, at most.',
		}),
	}, { ...section, description: 'Ending' }),

	cluster: Type.Object({
		internalPort: Type.Integer({
			env: 'ROSTRUM_INTERNAL_PORT', default: 3100, ...port, description: 'TCP port on which nodes talk to each other.',
		}),
		internalAddress: Type.Optional(Type.String({
			env: 'ROSTRUM_INTERNAL_ADDRESS', pattern: '^[A-Za-z0-9._:-]{1,253}$', expects: 'an IP address or a host name',
			defaultFrom: '127.0.0.1 when `http.host` is loopback, else the first address of this machine that is not', examples: ['10.0.0.1'],
			description: 'Where the other nodes reach this one, for requests (TCP) and links (UDP, link ports).',
		})),
		region: Type.Optional(Type.String({
			env: 'ROSTRUM_REGION', pattern: '^[A-Za-z0-9._-]{1,64}$', expects: '1 to 64 letters, digits, dots, dashes', examples: ['eu-central'],
			defaultFrom: 'none', description: 'Listeners are handed to nodes of the same region first.',
		})),
		maxFanOut: Type.Integer({
			env: 'ROSTRUM_CLUSTER_MAX_FAN_OUT', default: 32, minimum: 2, maximum: 256,
			description: 'Links that begin at one origin or one relaying edge; further edges link to an edge that relays.',
		}),
		linkLingerMs: Type.Integer({
			env: 'ROSTRUM_CLUSTER_LINK_LINGER_MS', default: 15_000, minimum: 2000, maximum: 3_600_000,
			description: 'How long an edge to which nobody listens any more keeps its link.',
		}),
		drainMs: Type.Integer({
			env: 'ROSTRUM_CLUSTER_DRAIN_MS', default: 60_000, minimum: 0, maximum: 86_400_000,
			description: 'How long a node of a cluster that gets SIGTERM takes to move its listeners to others before it closes.',
		}),
		secret: Type.Optional(Type.String({
			env: 'ROSTRUM_CLUSTER_SECRET', secret: true, minLength: 32, maxLength: 512, expects: '32 to 512 characters',
			defaultFrom: 'none', examples: ['CHANGE'],
			description: 'Shared by the nodes of a cluster (openssl rand -hex 32 makes a good one).',
		})),
	}, { ...section, description: 'Several nodes' }),

	redis: Type.Object({
		url: Type.Optional(Type.String({
			env: 'REDIS_URL', secret: true, pattern: '^rediss?(\\+(sentinel|cluster))?://[^\\s]+$', maxLength: 2048,
			expects: 'a redis://, redis+sentinel:// or redis+cluster:// address (rediss… for TLS)',
			defaultFrom: 'none: one node alone', examples: ['redis://127.0.0.1:6379/0'],
			description: 'Where the nodes of a cluster keep rooms, leases and heartbeats: `redis://user:password@host:port/db`, '
				+ '`redis+sentinel://user:password@sentinel1:port,sentinel2:port/master-name/db`, or `redis+cluster://user:password@host1:port,host2:port`; '
				+ '`rediss…` for TLS. Treated as a secret, for it may hold a password.',
		})),
		keyPrefix: Type.String({
			env: 'ROSTRUM_REDIS_KEY_PREFIX', default: 'rostrum', pattern: '^[A-Za-z0-9_.:-]{1,64}$', expects: '1 to 64 characters of A-Z, a-z, 0-9 and _ . : -',
			description: 'Every key and channel begins with it. Clusters that share one Redis need different ones.',
		}),
		caFile: Type.Optional(Type.String({
			env: 'ROSTRUM_REDIS_CA_FILE', minLength: 1, maxLength: 1024, defaultFrom: 'the certificate authorities of Node', examples: ['/etc/rostrum/redis-ca.pem'],
			description: 'PEM file with the certificate authorities to believe when Redis has a certificate of a private one.',
		})),
		sentinelPassword: Type.Optional(Type.String({
			env: 'ROSTRUM_REDIS_SENTINEL_PASSWORD', secret: true, minLength: 1, maxLength: 512, defaultFrom: 'none', examples: ['CHANGE'],
			description: 'Password of the Sentinels themselves, where they ask for one.',
		})),
	}, { ...section, description: 'Redis' }),
}, section);

type DeepReadonly<T> = T extends readonly (infer Item)[] ? readonly DeepReadonly<Item>[]
	: T extends object ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
	: T;

/** The settings as the program sees them: complete, checked, deeply frozen. */
export type Config = DeepReadonly<Static<typeof ConfigSchema>>;
export type ForeignIssuerConfig = DeepReadonly<Static<typeof ForeignIssuerSchema>>;
