/** Errors and replies, as one tab sends them to another. Pure. */
/** The members of an error, or of a problem of the hub, that tabs send. @param {any} error */
export declare const problemOf: ({ code, message, detail, hint, status, refused }: any) => {
    code: any;
    detail: any;
    hint: any;
    status: any;
    refused: any;
};
/** The reply to a publish of another tab. If its time there is not over, that tab must send it again. @param {any} error @param {number} deadline */
export declare function replyOf(error: any, deadline: number): {
    code: any;
    detail: any;
    hint: any;
    status: any;
    refused: any;
};
