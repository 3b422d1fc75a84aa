/** The `extract` export of pipeline.config.ts. */
export interface ExtractConfig {
    /** An e-mail address or URL at which Open Library can reach whoever runs this; sent in the User-Agent. */
    readonly contact?: string;
    /** Subject keys as Open Library writes them ("science_fiction"), extracted when the command line names none. */
    readonly subjects?: readonly string[];
    /** Where the service is. Default: https://openlibrary.org */
    readonly baseUrl?: string;
}
